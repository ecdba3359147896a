//! A page of ListObjectsV2: keys with size, tag and class, the folders below, and where the next page starts.

use crate::input::remote::fault::Fault;
use quick_xml::de::from_str;
use serde::Deserialize;

/// A page.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    #[serde(default)]
    pub(super) contents: Vec<Entry>,
    #[serde(default)]
    common_prefixes: Vec<Prefix>,
    #[serde(default)]
    pub(super) next_continuation_token: Option<String>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    encoding_type: Option<String>,
}

/// An object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) size: u64,
    #[serde(rename = "ETag", default)]
    etag: String,
    #[serde(default)]
    last_modified: String,
}

impl Entry {
    /// What tells the object's content from what it held before: its tag, else when it was written; empty if the listing
    /// gives neither.
    pub(super) fn mark(&self) -> String {
        match (self.etag.as_str(), self.last_modified.as_str()) {
            ("", "") => String::new(),
            ("", time) => format!("{WRITTEN}{time}"),
            (tag, _) => tag.to_owned(),
        }
    }
}

/// Stands before a time where there is no tag; no tag begins so.
pub(super) const WRITTEN: &str = "written ";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Prefix {
    prefix: String,
}

impl Page {
    /// Reads S3's XML.
    pub(super) fn read(xml: &[u8]) -> Result<Self, Fault> {
        let broken = || Fault::Object("the listing is no XML that S3 writes".into());
        let text = std::str::from_utf8(xml).map_err(|_| broken())?;
        if !text.trim_end().ends_with("</ListBucketResult>") {
            return Err(broken());
        }
        let mut page: Page = from_str(text).map_err(|_| broken())?;
        if page.is_encoded() {
            for text in page.texts_mut() {
                *text = decode(text).ok_or_else(broken)?;
            }
        }
        page.next_continuation_token = page.next_continuation_token.filter(|_| page.is_truncated);
        Ok(page)
    }

    /// True if the server encoded keys as it was asked to; some say so and do not. A server does it for all or for none.
    fn is_encoded(&mut self) -> bool {
        let left = |b: u8| b.is_ascii_alphanumeric() || b"-._~*+/%!'()".contains(&b);
        self.encoding_type.as_deref() == Some("url") && self.texts_mut().all(|t| t.bytes().all(left))
    }

    fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let prefixes = self.common_prefixes.iter_mut().map(|p| &mut p.prefix);
        self.contents.iter_mut().map(|e| &mut e.key).chain(prefixes)
    }

    /// The folders below.
    pub(super) fn folders(&self) -> impl Iterator<Item = &str> {
        self.common_prefixes.iter().map(|p| p.prefix.as_str())
    }
}

/// Undoes the encoding of keys in a listing.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(b) = bytes.next() {
        match b {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
                out.push(value as u8);
            }
            b => out.push(b),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_and_its_keys_decoded() {
        let xml = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>\
            <EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>\
            <Contents><Key>a%2F%2Fb+c%1B</Key><LastModified>2023-11-14T22:20:00.000Z</LastModified>\
            <ETag>&quot;x&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>\
            <CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes></ListBucketResult>";
        let page = Page::read(xml.as_bytes()).unwrap();
        let entry = &page.contents[0];
        assert_eq!(
            (entry.key.as_str(), entry.size, entry.mark().as_str()),
            ("a//b c\u{1b}", 7, "\"x\"")
        );
        assert_eq!(page.folders().collect::<Vec<_>>(), ["a/"]);
        assert_eq!(page.next_continuation_token.as_deref(), Some("t&1"));
    }

    #[test]
    fn keys_that_were_not_encoded_are_left_alone() {
        let xml = "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a+b c</Key>\
            <LastModified>2023-11-14T22:20:00.000Z</LastModified><Size>7</Size></Contents>\
            <Contents><Key>100%.log</Key><Size>7</Size></Contents></ListBucketResult>";
        let page = Page::read(xml.as_bytes()).unwrap();
        let keys: Vec<&str> = page.contents.iter().map(|e| e.key.as_str()).collect();
        assert_eq!(keys, ["a+b c", "100%.log"]);
        let marks: Vec<String> = page.contents.iter().map(Entry::mark).collect();
        assert_eq!(marks, ["written 2023-11-14T22:20:00.000Z", ""], "without tags");
    }

    #[test]
    fn a_broken_page_is_an_error_and_not_an_empty_bucket() {
        for xml in [
            "",
            "<ListBucketResult><Contents><Key>a",
            "<html>503</html>",
            "<Error><Code>x</Code></Error>",
        ] {
            assert!(Page::read(xml.as_bytes()).is_err(), "{xml}");
        }
    }
}
