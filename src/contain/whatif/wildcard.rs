//! `*` and `?` as IAM has them, over whole texts.

/// True if the pattern stands for all of the text.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (p, t) = (pattern.as_bytes(), text.as_bytes());
    let (mut i, mut j) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while j < t.len() {
        match p.get(i) {
            Some(b'*') => {
                back = Some((i, j));
                i += 1;
            }
            Some(c) if *c == b'?' || Some(c) == t.get(j) => {
                i += 1;
                j += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    (i, j) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    p.iter().skip(i).all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;
    use proptest::prelude::*;

    /// The obvious way.
    fn slowly(p: &[u8], t: &[u8]) -> bool {
        match (p.split_first(), t.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => slowly(rest, t) || !t.is_empty() && slowly(p, &t[1..]),
            (Some((b'?', rest)), Some((_, more))) => slowly(rest, more),
            (Some((a, rest)), Some((b, more))) => a == b && slowly(rest, more),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn as_the_obvious_way(p in "[ab*?]{0,8}", t in "[ab]{0,8}") {
            prop_assert_eq!(matches(&p, &t), slowly(p.as_bytes(), t.as_bytes()));
        }
    }

    #[test]
    fn of_arns() {
        assert!(matches("arn:aws:s3:::logs-*/*", "arn:aws:s3:::logs-1/a/b"));
        assert!(!matches("arn:aws:s3:::logs-*/*", "arn:aws:s3:::log"));
    }
}
