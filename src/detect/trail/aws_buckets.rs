//! Buckets that AWS owns and that every account talks to: image layers, package repositories, agents, patches.
//!
//! They belong to other accounts and appear in no trail of ours, so without this list they would be foreign writes and
//! unaccounted bytes. Names under which accounts keep buckets of their own (`elasticbeanstalk-<region>-<account>`,
//! `aws-athena-query-results-…`) are not among them: anybody can register those. Sources: AWS's pages on endpoint policies for ECR, Systems Manager, Amazon Linux and Elastic Beanstalk.

/// The service that owns a bucket, if it is one of AWS's own.
pub fn aws_owner(bucket: &str) -> Option<&'static str> {
    let rest = |pattern: &str| {
        let (start, end) = pattern.split_once('*')?;
        bucket.strip_prefix(start)?.strip_suffix(end)
    };
    let found = ALLOWED.iter().find(|(pattern, _)| rest(pattern).is_some());
    found.map(|(_, owner)| *owner)
}

/// Patterns with one `*`, and whose they are.
const ALLOWED: &[(&str, &str)] = &[
    ("prod-*-starport-layer-bucket", "ECR image layers"),
    ("amazonlinux*", "Amazon Linux packages"),
    ("al2023-repos-*", "Amazon Linux packages"),
    ("repo.*.amazonaws.com", "Amazon Linux packages"),
    ("packages.*.amazonaws.com", "Amazon Linux packages"),
    ("aws-ssm-*", "Systems Manager"),
    ("amazon-ssm-*", "Systems Manager"),
    ("patch-baseline-snapshot-*", "Systems Manager patches"),
    ("aws-patch-manager-*", "Systems Manager patches"),
    ("aws-windows-downloads-*", "Systems Manager for Windows"),
    ("amazoncloudwatch-agent-*", "CloudWatch agent"),
    ("aws-codedeploy-*", "CodeDeploy agent"),
    ("elasticbeanstalk-samples-*", "Elastic Beanstalk"),
    ("elasticbeanstalk-platform-assets-*", "Elastic Beanstalk"),
    ("elasticbeanstalk-env-resources-*", "Elastic Beanstalk"),
    ("cloudformation-custom-resource-response-*", "CloudFormation answers"),
    ("amazon-ecs-agent-*", "ECS agent"),
    ("amazon-inspector-*", "Inspector agent"),
    ("ec2imagebuilder-managed-resources-*", "EC2 Image Builder"),
    ("dcv-license.*", "NICE DCV licences"),
    ("aws-gd-*", "GuardDuty agent"),
];

#[cfg(test)]
mod tests {
    use super::aws_owner;

    #[test]
    fn buckets_of_aws_are_known_and_look_alikes_are_not() {
        assert_eq!(
            aws_owner("prod-us-east-1-starport-layer-bucket"),
            Some("ECR image layers")
        );
        assert_eq!(aws_owner("prod-us-east-1-starport-layer-bucket-mine"), None);
        assert_eq!(aws_owner("my-aws-ssm-us-east-1"), None);
    }
}
