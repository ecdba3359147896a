//! Slack, incoming webhook: one message an incident, in blocks.
//!
//! Everything that may come from a log stands in `plain_text`, which Slack neither formats nor links, with `&`, `<` and `>`
//! escaped as Slack asks (so that no `<!channel>` calls anybody). Slack keeps no ids: a repetition says that it is one.
//! Source: docs.slack.dev, "Incoming webhooks", "Block Kit" (header 150 characters, field 2,000, section 3,000).

use serde_json::{Value, json};

use super::http::Web;
use super::secret::Secret;
use super::{Answer, Carrier, Environment, Kind, Notice, Target};
use crate::error::Result;

/// The registry's line.
pub(super) const KIND: Kind = Kind {
    name: "slack",
    about: "Slack, incoming webhook",
    keys: &["url-env"],
    open,
};

const HEADER: usize = 150;
const FIELD: usize = 2_000;
const SECTION: usize = 3_000;

/// Fields that a section may have.
const FIELDS: usize = 10;

#[derive(Debug)]
struct Slack {
    web: Web,
}

fn open(target: &Target, environment: &Environment<'_>) -> Result<Box<dyn Carrier>> {
    // The URL is the secret: whoever knows it can write into the channel.
    let url = Secret::needed(target, "url-env", environment)?;
    let web = Web::open(target, "url-env", url.reveal())?;
    Ok(Box::new(Slack { web }))
}

impl Carrier for Slack {
    fn carry(&self, notice: &Notice, repeated: bool) -> Answer {
        self.web.post(&[], message(notice, repeated).to_string().into_bytes())
    }
}

/// The message.
fn message(notice: &Notice, repeated: bool) -> Value {
    let i = &notice.people;
    let title = format!("{}: {}", i.severity.to_uppercase(), i.title);
    let fields = notice.facts().into_iter().take(FIELDS);
    let fields: Vec<Value> = fields
        .map(|(label, value)| plain(&format!("{label}\n{value}"), FIELD))
        .collect();
    let mut blocks = vec![
        json!({"type": "header", "text": plain(&title, HEADER)}),
        json!({"type": "section", "fields": fields}),
    ];
    for (label, lines) in notice.lists() {
        let text = format!("{label}\n{}", lines.join("\n"));
        blocks.push(json!({"type": "section", "text": plain(&text, SECTION)}));
    }
    let again = if repeated {
        ". Sent again: the reply to an earlier message was lost, which may stand above."
    } else {
        ""
    };
    let foot = format!("flowtrail, incident {}{again}", notice.id);
    blocks.push(json!({"type": "context", "elements": [plain(&foot, FIELD)]}));
    json!({
        "text": escaped(&title, SECTION),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

fn plain(text: &str, most: usize) -> Value {
    json!({"type": "plain_text", "text": escaped(text, most), "emoji": false})
}

/// Slack's own escape, no longer than `most` characters, no entity cut in two.
fn escaped(text: &str, most: usize) -> String {
    let (mut out, mut length) = (String::new(), 0);
    for c in text.chars() {
        let part = match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            c => c.to_string(),
        };
        length += part.chars().count();
        if length >= most {
            out.push('…');
            break;
        }
        out.push_str(&part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::notice::tests::sample;

    fn texts(value: &Value, into: &mut Vec<(String, usize)>) {
        match value {
            Value::Object(fields) => {
                if fields.get("type").is_some_and(|t| t == "plain_text") {
                    let text = fields["text"].as_str().unwrap();
                    into.push((text.into(), text.chars().count()));
                }
                fields.values().for_each(|v| texts(v, into));
            }
            Value::Array(all) => all.iter().for_each(|v| texts(v, into)),
            _ => {}
        }
    }

    #[test]
    fn what_a_log_wrote_calls_nobody_and_formats_nothing() {
        let message = message(&sample(), false);
        let whole = message.to_string();
        assert!(whole.contains("&lt;!channel&gt;") && whole.contains("&amp;"), "{whole}");
        assert!(
            !whole.contains('<') && !whole.contains("mrkdwn\"}") && !whole.contains('\u{202e}'),
            "{whole}"
        );
        assert!(!whole.contains("AKIAIOSFODNN7EXAMPLE"));
        let mut all = Vec::new();
        texts(&message, &mut all);
        assert!(all.len() > 10 && all.iter().all(|(_, n)| *n > 0 && *n <= SECTION));
        assert!(all[0].1 <= HEADER);
        assert!(message["blocks"].as_array().unwrap().len() <= 50);
    }

    #[test]
    fn a_repetition_says_so() {
        assert!(!message(&sample(), false).to_string().contains("Sent again"));
        assert!(message(&sample(), true).to_string().contains("Sent again"));
    }

    #[test]
    fn escapes_stay_whole_when_a_text_is_cut() {
        assert_eq!(escaped("a<b", 100), "a&lt;b");
        assert_eq!(escaped("<<<<", 10), "&lt;&lt;…");
        assert_eq!(escaped("äöü", 4), "äöü");
    }
}
