//! Which format has text without a header? The one that describe-flow-logs gives for its flow log, whose id stands in the
//! file's name; else what `--flow-format` says; else the default of version 2. A header always wins over all of them.

use crate::aggregate::watch::UNNAMED;
use crate::error::Result;
use crate::flow::LogFormat;
use crate::input::{LogKind, LogName};
use crate::inventory::Inventory;
use std::collections::BTreeMap;

/// The formats of text without a header.
#[derive(Debug, Clone, Default)]
pub struct Formats {
    /// For files of which nothing better is known; the default of version 2 if none was given.
    otherwise: Option<LogFormat>,
    by_log: BTreeMap<String, LogFormat>,
}

impl Formats {
    /// `otherwise` for files of which nothing better is known.
    pub fn new(otherwise: Option<LogFormat>) -> Self {
        Formats {
            otherwise,
            ..Formats::default()
        }
    }

    /// Takes over the `LogFormat` of each flow log that an inventory knows.
    #[must_use]
    pub fn with(mut self, inventory: &Inventory) -> Self {
        let known = inventory.flow_logs.iter().filter_map(|l| {
            let format = LogFormat::from_spec(l.format.as_deref()?).ok()?;
            Some((l.id.clone(), format))
        });
        self.by_log.extend(known);
        self
    }

    /// All of them as AWS prints formats, by flow log; `-` is that of files of which nothing better is known.
    pub fn describe(&self) -> BTreeMap<String, String> {
        let by_log = self.by_log.iter().map(|(id, f)| (id.clone(), f.spec()));
        std::iter::once((UNNAMED.to_owned(), self.otherwise().spec()))
            .chain(by_log)
            .collect()
    }

    /// The format of files of which nothing better is known.
    pub fn otherwise(&self) -> LogFormat {
        self.otherwise.clone().unwrap_or_else(LogFormat::default_v2)
    }

    /// What [`Formats::describe`] said.
    ///
    /// # Errors
    /// `Usage` if one of them is no format.
    pub fn described(all: &BTreeMap<String, String>) -> Result<Self> {
        let mut formats = Formats::default();
        for (log, text) in all {
            let format = LogFormat::from_spec(text)?;
            if log == UNNAMED {
                formats.otherwise = Some(format);
            } else {
                formats.by_log.insert(log.clone(), format);
            }
        }
        Ok(formats)
    }

    /// The format of a file by its name.
    pub fn of(&self, name: &str) -> LogFormat {
        let log = LogName::parse(name).filter(|n| n.kind == LogKind::FlowLog);
        let known = log.and_then(|n| self.by_log.get(n.log));
        known.cloned().unwrap_or_else(|| self.otherwise())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Field;
    use crate::inventory::FlowLog;

    #[test]
    fn the_flow_logs_own_format_then_the_one_given_then_the_default() {
        let inventory = Inventory {
            flow_logs: vec![FlowLog {
                id: "fl-0ab".into(),
                format: Some("${interface-id} ${bytes}".into()),
                ..FlowLog::default()
            }],
            ..Inventory::default()
        };
        let mut formats = Formats::default().with(&inventory);
        let file =
            |log: &str| format!("AWSLogs/1/123456789012_vpcflowlogs_us-east-1_{log}_20260302T1620Z_89b7af87.log.gz");
        assert_eq!(formats.of(&file("fl-0ab")).columns().len(), 2);
        assert_eq!(formats.of(&file("fl-0cd")).columns().len(), 14);
        formats.otherwise = LogFormat::from_spec("${version} ${srcaddr} ${dstaddr}").ok();
        assert_eq!(formats.of(&file("fl-0cd")).position(Field::DstAddr), Some(2));
        assert_eq!(formats.of("export.log").position(Field::DstAddr), Some(2));
        let again = Formats::described(&formats.describe()).unwrap();
        assert_eq!(again.describe(), formats.describe());
        assert_eq!(formats.of(&file("fl-0ab")).position(Field::Bytes), Some(1));
    }
}
