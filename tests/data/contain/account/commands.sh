#!/bin/sh
# Lines to review, one by one, in this folder. The next line keeps them from running together.
echo 'to be reviewed line by line: see README.md' >&2; exit 1

# GuardDuty's S3 protection switched on
# needs: guardduty:ListDetectors, guardduty:UpdateDetector; DETECTOR_ID from the first line, set in the shell
aws guardduty list-detectors
aws guardduty update-detector --detector-id "${DETECTOR_ID}" --features Name=S3_DATA_EVENTS,Status=ENABLED

# Data events of every bucket recorded
# needs: cloudtrail:GetEventSelectors, cloudtrail:PutEventSelectors on the trail
aws cloudtrail get-event-selectors --trail-name arn:aws:cloudtrail:us-east-1:111122223333:trail/main
aws cloudtrail put-event-selectors --trail-name arn:aws:cloudtrail:us-east-1:111122223333:trail/main --event-selectors file://event-selectors-main.json

# Alarm above 21 objects read in an hour
# needs: A trail with data events that is delivered to CloudWatch Logs: the name of its log group in TRAIL_LOG_GROUP. Without that delivery a metric filter sees nothing
# needs: An SNS topic that somebody reads: its ARN in ALERT_TOPIC_ARN; logs:PutMetricFilter, cloudwatch:PutMetricAlarm
aws logs put-metric-filter --log-group-name "${TRAIL_LOG_GROUP}" --filter-name flowtrail-s3-objects-read --filter-pattern '{ ($.eventSource = "s3.amazonaws.com") && ($.eventName = "GetObject") && ($.errorCode NOT EXISTS) }' --metric-transformations file://metric-transformations.json
aws cloudwatch put-metric-alarm --alarm-name flowtrail-s3-objects-read --alarm-description 'More objects read from S3 in an hour than usual' --namespace Flowtrail --metric-name ObjectsRead --statistic Sum --period 3600 --evaluation-periods 1 --threshold 21 --comparison-operator GreaterThanThreshold --treat-missing-data notBreaching --alarm-actions "${ALERT_TOPIC_ARN}"

# Findings of GuardDuty about S3 are sent to somebody
# needs: An SNS topic whose policy lets events.amazonaws.com publish; its ARN in ALERT_TOPIC_ARN; events:PutRule, events:PutTargets
aws events put-rule --name flowtrail-guardduty-s3 --state ENABLED --event-pattern file://event-pattern-guardduty-s3.json
aws events put-targets --rule flowtrail-guardduty-s3 --targets "Id=alerts,Arn=${ALERT_TOPIC_ARN}"
