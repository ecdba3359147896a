//! Query results of Athena and CloudTrail Lake: records as the rows of a CSV file, with or without gzip around it.
//!
//! The header names the columns, in any order and any case. Either one column holds whole records as JSON, or each member of a
//! record has a column: plain text, JSON as text (Athena), or a struct or map as Presto prints it. A row that cannot be read
//! costs itself; where a quote was left open, reading goes on at the next line.

use csv::{ByteRecord, ReaderBuilder};

use super::presto;
use super::rewrite::Fault;

/// Columns that hold whole records as JSON.
const WHOLE: [&str; 3] = ["eventjson", "event_json", "cloudtrailevent"];

/// What a record cannot be without.
const NEEDED: [&str; 3] = ["eventtime", "eventsource", "eventname"];

/// Columns of structs whose members are known: those of the tables in AWS's guides to Athena and CloudTrail Lake.
const STRUCTS: [(&str, &[&str]); 2] = [
    (
        "useridentity",
        &[
            "type",
            "principalid",
            "arn",
            "accountid",
            "invokedby",
            "accesskeyid",
            "username",
            "sessioncontext",
            "attributes",
            "mfaauthenticated",
            "creationdate",
            "sessionissuer",
            "ec2roledelivery",
            "ec2issuedinvpc",
            "webidfederation",
            "webidfederationdata",
            "federatedprovider",
            "sourceidentity",
            "onbehalfof",
            "userid",
            "identitystorearn",
            "inscopeof",
            "sourcearn",
            "sourceaccount",
            "issuertype",
            "credentialsissuedto",
            "identityprovider",
            "credentialid",
        ],
    ),
    ("resources", &["arn", "arnprefix", "accountid", "type"]),
];

/// Columns of maps, or of JSON as text.
const MAPS: [&str; 3] = ["requestparameters", "responseelements", "additionaleventdata"];

/// A header's cells, lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header(Vec<String>);

impl Header {
    /// The columns, if the first line names those of records.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let line = bytes.get(..memchr::memchr(b'\n', bytes).unwrap_or(bytes.len()))?;
        if line.len() > LONGEST_HEADER || matches!(line.first(), None | Some(b'{' | b'[')) {
            return None;
        }
        let mut rows = rows_of(line);
        let mut row = ByteRecord::new();
        rows.read_byte_record(&mut row).ok().filter(|read| *read)?;
        let names = row
            .iter()
            .map(|c| Some(std::str::from_utf8(c).ok()?.trim().to_ascii_lowercase()));
        let names: Vec<String> = names.collect::<Option<_>>()?;
        let has = |name: &&str| names.iter().any(|n| n == name);
        let records = WHOLE.iter().any(&has) || NEEDED.iter().all(has);
        records.then_some(Header(names))
    }

    /// Whole records stand in this column.
    pub(super) fn whole(&self) -> Option<usize> {
        self.0.iter().position(|n| WHOLE.contains(&n.as_str()))
    }

    /// A row as the JSON of a record.
    fn record(&self, row: &ByteRecord) -> Result<String, Fault> {
        let mut out = String::with_capacity(row.as_slice().len() * 2);
        for (name, cell) in self.0.iter().zip(row.iter()) {
            if cell.is_empty() {
                continue;
            }
            out.push(if out.is_empty() { '{' } else { ',' });
            push_text(&mut out, name);
            out.push(':');
            match std::str::from_utf8(cell).ok().and_then(|c| cell_json(name, c)) {
                Some(json) => out.push_str(&json),
                None => return Err(fault(name.clone(), "can be read in two ways, or in none")),
            }
        }
        out.push_str(if out.is_empty() { "{}" } else { "}" });
        Ok(out)
    }
}

/// True if the first line names columns, as query results of Athena and CloudTrail Lake do.
pub(super) fn names_columns(text: &[u8]) -> bool {
    let line = text
        .get(..memchr::memchr(b'\n', text).unwrap_or(text.len()))
        .unwrap_or_default();
    let lower = line
        .get(..line.len().min(4_096))
        .unwrap_or_default()
        .to_ascii_lowercase();
    lower.contains(&b',') && memchr::memmem::find(&lower, b"eventtime").is_some()
}

/// A line of names is not longer.
const LONGEST_HEADER: usize = 64 << 10;

fn fault(field: String, reason: &'static str) -> Fault {
    Fault {
        field: field.into(),
        reason,
    }
}

fn push_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// A cell as JSON: its own, that of the struct or map in it, or a text.
fn cell_json(name: &str, cell: &str) -> Option<String> {
    let names = STRUCTS
        .iter()
        .find(|(column, _)| *column == name)
        .map(|(_, names)| *names);
    let names = names.or_else(|| MAPS.contains(&name).then_some(&[][..]));
    let composed = cell.starts_with(['{', '[']);
    match names {
        Some(names) if composed => match serde_json::from_str::<&serde_json::value::RawValue>(cell) {
            Ok(json) => Some(json.get().to_owned()),
            Err(_) => presto::to_json(cell, names),
        },
        Some(_) if cell == "null" => Some("null".to_owned()),
        _ => Some(serde_json::Value::from(cell).to_string()),
    }
}

fn rows_of(bytes: &[u8]) -> csv::Reader<&[u8]> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes)
}

/// One row of a table.
pub(super) enum Line {
    /// A record as JSON.
    Record(String),
    /// Why it is none.
    Bad(Fault),
}

/// The rows after the header, each with its offset in `bytes`.
pub(super) fn each(bytes: &[u8], header: &Header, take: &mut impl FnMut(Line, usize)) {
    let mut from = 0;
    let mut row = ByteRecord::new();
    while let Some(rest) = bytes.get(from..).filter(|r| !r.is_empty()) {
        let mut rows = rows_of(rest);
        let mut again = None;
        while again.is_none() && rows.read_byte_record(&mut row).unwrap_or(false) {
            let at = from + row.position().map_or(0, |p| p.byte() as usize);
            let end = from + rows.position().byte() as usize;
            if row.len() == header.0.len() {
                if !is_header(&row, header) {
                    take(line(&row, header), at);
                }
            } else if !row.iter().all(<[u8]>::is_empty) {
                take(
                    Line::Bad(fault(String::new(), "has not as many cells as the header")),
                    at,
                );
                again = next_line(bytes, at, end);
            }
        }
        let Some(next) = again else { return };
        from = next;
    }
}

/// Where to read on if a row took in more than its line: an open quote swallows what follows.
fn next_line(bytes: &[u8], at: usize, end: usize) -> Option<usize> {
    let row = bytes.get(at..end.min(bytes.len()))?;
    let first = at + row.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
    let next = first + memchr::memchr(b'\n', bytes.get(first..)?)? + 1;
    (next < end).then_some(next)
}

fn is_header(row: &ByteRecord, header: &Header) -> bool {
    row.iter()
        .zip(&header.0)
        .all(|(cell, name)| cell.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}

fn line(row: &ByteRecord, header: &Header) -> Line {
    let whole = |column: usize| {
        let cell = row
            .get(column)
            .map(<[u8]>::to_vec)
            .and_then(|c| String::from_utf8(c).ok());
        cell.ok_or_else(|| fault(String::new(), "not UTF-8"))
    };
    match header.whole().map_or_else(|| header.record(row), whole) {
        Ok(json) => Line::Record(json),
        Err(fault) => Line::Bad(fault),
    }
}

#[cfg(test)]
mod tests {
    use crate::trail::read;

    /// The records of a table: time, caller, event, bucket, bytes out; and how many rows were rejected.
    fn records(csv: &str) -> (Vec<String>, u64) {
        let mut out = Vec::new();
        let counts = read(csv.as_bytes(), &mut |e| {
            let text = |t: &Option<std::borrow::Cow<'_, str>>| t.as_deref().unwrap_or("-").to_owned();
            let parts = [
                e.time.to_string(),
                text(&e.identity.arn),
                text(&e.identity.issuer),
                e.name.to_string(),
                text(&e.bucket),
                text(&e.key),
                e.bytes_out.map_or("-".into(), |b| b.to_string()),
                e.bucket_owner().unwrap_or("-").to_owned(),
            ];
            out.push(parts.join(" "));
        });
        assert_eq!(counts.problem, None);
        (out, counts.rejected)
    }

    const ATHENA: &str = r#""eventversion","useridentity","eventtime","eventsource","eventname","awsregion","sourceipaddress","useragent","errorcode","errormessage","requestparameters","responseelements","additionaleventdata","requestid","eventid","resources","eventtype","recipientaccountid"
"1.08","{type=AssumedRole, principalid=AROAEXAMPLE:alice@example.com, arn=arn:aws:sts::111122223333:assumed-role/app/alice@example.com, accountid=111122223333, invokedby=null, accesskeyid=ASIAEXAMPLE, username=null, sessioncontext={attributes={mfaauthenticated=false, creationdate=2023-07-10T10:00:00Z}, sessionissuer={type=Role, principalid=AROAEXAMPLE, arn=arn:aws:iam::111122223333:role/app, accountid=111122223333, username=app}, ec2roledelivery=null, webidfederation=null}}","2023-07-10T11:42:18Z","s3.amazonaws.com","GetObject","us-east-1","192.0.2.7","[aws-cli/2.11
 multi-line]",,,"{""bucketName"":""data"",""key"":""a, b=c.csv""}",,"{""bytesTransferredOut"":1048576}","R1","e1","[{arn=arn:aws:s3:::data/a, b=c.csv, accountid=null, type=AWS::S3::Object}, {arn=arn:aws:s3:::data, accountid=444455556666, type=AWS::S3::Bucket}]","AwsApiCall","111122223333"
"#;

    #[test]
    fn a_row_of_athena_is_a_record() {
        let record = "1688989338 arn:aws:sts::111122223333:assumed-role/app/alice@example.com \
                      arn:aws:iam::111122223333:role/app GetObject data a, b=c.csv 1048576 444455556666";
        assert_eq!(records(ATHENA), (vec![record.to_owned()], 0));
        let crlf = ATHENA.replace("\n\"1.08", "\r\n\"1.08");
        assert_eq!(records(&crlf).0, [record]);
    }

    #[test]
    fn a_row_of_lake_has_maps_and_a_time_with_a_blank() {
        let lake = r#"eventTime,eventSource,eventName,userIdentity,requestParameters,additionalEventData,eventID
2023-07-10 11:42:18.000,s3.amazonaws.com,PutObject,"{type=IAMUser, arn=arn:aws:iam::111122223333:user/bob}","{bucketName=data, Host=data.s3.amazonaws.com, key=x/y=z.csv}","{x-amz-id-2=ab/+=, bytesTransferredOut=12.0, bytesTransferredIn=7.0}",e2
"#;
        let record = "1688989338 arn:aws:iam::111122223333:user/bob - PutObject data x/y=z.csv 12 -";
        assert_eq!(records(lake), (vec![record.to_owned()], 0));
    }

    #[test]
    fn whole_records_may_stand_in_one_column() {
        let csv = "eventJson\n\"{\"\"eventTime\"\":\"\"2023-07-10T11:42:18Z\"\",\"\"eventSource\"\":\"\"s3.amazonaws.com\"\",\"\"eventName\"\":\"\"ListBuckets\"\"}\"\nnothing\n";
        assert_eq!(records(csv), (vec!["1688989338 - - ListBuckets - - - -".to_owned()], 1));
    }

    const PLAIN: &str = "eventtime,eventsource,eventname,requestparameters";

    fn row(n: u8) -> String {
        format!("2023-07-10T11:42:0{n}Z,s3.amazonaws.com,GetObject,\"{{bucketName=b{n}, key=k}}\"")
    }

    #[test]
    fn a_bad_row_costs_itself() {
        let bad = [
            "2023-07-10T11:42:09Z,\"s3.amazonaws.com,GetObject,",
            "2023-07-10T11:42:09Z,s3.amazonaws.com",
            "yesterday,s3.amazonaws.com,GetObject,",
            ",s3.amazonaws.com,GetObject,",
            "2023-07-10T11:42:09Z,s3.amazonaws.com,GetObject,\"{bucketName=b, bucketName=c}\"",
            "2023-07-10T11:42:09Z,s3.amazonaws.com,GetObject,\"{bucketName=\"",
        ];
        for bad in bad {
            let text = [PLAIN, &row(1), bad, &row(2), &row(3)].join("\n");
            let (read, rejected) = records(&text);
            assert_eq!((read.len(), rejected), (3, 1), "{bad}: {read:?}");
        }
    }

    #[test]
    fn a_header_again_and_empty_lines_are_no_rows_and_no_rows_are_no_fault() {
        let text = [PLAIN, &row(1), "", PLAIN, &row(2), ""].join("\n");
        assert_eq!((records(&text).0.len(), records(&text).1), (2, 0));
        assert_eq!(records(PLAIN), (vec![], 0));
    }

    #[test]
    fn a_table_without_the_columns_says_which_it_needs() {
        let counts = read(b"eventtime,useridentity,eventname\na,b,c\n", &mut |_| {});
        let problem = counts.problem.unwrap().to_string();
        assert!(problem.contains("eventtime, eventsource and eventname"), "{problem}");
        assert_eq!(counts.rejected, 0);
    }
}
