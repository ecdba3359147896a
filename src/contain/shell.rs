//! AWS CLI lines: words, quoted for a POSIX shell only where they must be.
//!
//! A word is a text (quoted whole) or a variable that the reader sets (`"$NEW_PASSWORD"`): secrets and ids that no log knows
//! never stand in a line.

use std::fmt;

/// One command of the AWS CLI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    words: Vec<Word>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Text(String),
    Variable {
        before: String,
        name: &'static str,
        after: String,
    },
}

impl Command {
    /// `aws SERVICE OPERATION`.
    pub fn aws(service: &str, operation: &str) -> Self {
        let words = ["aws", service, operation].map(|w| Word::Text(w.to_owned())).to_vec();
        Command { words }
    }

    /// `--option value`.
    #[must_use]
    pub fn with(mut self, option: &str, value: &str) -> Self {
        self.words.push(Word::Text(format!("--{option}")));
        self.words.push(Word::Text(value.to_owned()));
        self
    }

    /// `--option`.
    #[must_use]
    pub fn flag(mut self, option: &str) -> Self {
        self.words.push(Word::Text(format!("--{option}")));
        self
    }

    /// `--option a b c`.
    #[must_use]
    pub fn list<'a>(mut self, option: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        self.words.push(Word::Text(format!("--{option}")));
        self.words.extend(values.into_iter().map(|v| Word::Text(v.to_owned())));
        self
    }

    /// `--option "$NAME"`, with text around it inside the quotes.
    #[must_use]
    pub fn variable(mut self, option: &str, before: &str, name: &'static str, after: &str) -> Self {
        self.words.push(Word::Text(format!("--{option}")));
        self.words.push(Word::Variable {
            before: before.to_owned(),
            name,
            after: after.to_owned(),
        });
        self
    }

    /// `--option file://name`.
    #[must_use]
    pub fn file(self, option: &str, name: &str) -> Self {
        self.with(option, &format!("file://{name}"))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, word) in self.words.iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            match word {
                Word::Text(text) => f.write_str(&quoted(text))?,
                Word::Variable { before, name, after } => {
                    write!(f, "\"{}${{{name}}}{}\"", in_double(before), in_double(after))?;
                }
            }
        }
        Ok(())
    }
}

/// A word of a POSIX shell that means exactly this text.
pub fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Text inside double quotes.
fn in_double(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a real shell makes of a word.
    fn by_shell(word: &str) -> String {
        let line = format!("printf %s {word}");
        let out = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_quoted_word_means_its_text(text in "[^\0]{0,24}") {
            prop_assert_eq!(by_shell(&quoted(&text)), text);
        }
    }

    #[test]
    fn lines_are_quoted_where_they_must_be() {
        let line = Command::aws("iam", "update-login-profile")
            .with("user-name", "j'r $(id)")
            .variable("password", "a\"$`\\", "NEW_PASSWORD", "")
            .flag("password-reset-required")
            .to_string();
        assert_eq!(
            line,
            "aws iam update-login-profile --user-name 'j'\\''r $(id)' --password \"a\\\"\\$\\`\\\\${NEW_PASSWORD}\" --password-reset-required"
        );
        assert_eq!(by_shell("\"a\\\"\\$\\`\\\\\""), "a\"$`\\");
    }
}
