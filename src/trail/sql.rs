//! The same question as SQL: for Athena's table of CloudTrail, for CloudWatch Logs Insights, and for DuckDB over the files.
//!
//! What is easily got wrong is right here: bytes stand in `additionalEventData` (a JSON text in Athena), requests with an
//! `errorCode` are no downloads, times are text and are compared as such or parsed, copies of an event count once.

use ipnetwork::IpNetwork;

use super::filter::{Field, TrailFilter};
use super::summary::TrailKey;

/// Where a query is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Athena, the table of AWS's page (`cloudtrail_logs`).
    Athena,
    /// CloudWatch Logs Insights.
    Insights,
    /// DuckDB over the files.
    DuckDb,
}

/// The query for a report grouped by `keys`.
pub fn query(dialect: Dialect, keys: &[TrailKey], filter: &TrailFilter, limit: usize) -> String {
    match dialect {
        Dialect::Athena => athena(keys, filter, limit),
        Dialect::Insights => insights(keys, filter, limit),
        Dialect::DuckDb => duckdb(keys, filter, limit),
    }
}

fn column(dialect: Dialect, key: TrailKey) -> &'static str {
    use Dialect::{Athena, DuckDb, Insights};
    match (key, dialect) {
        (TrailKey::Principal, Athena) => {
            "coalesce(useridentity.arn, useridentity.principalid, useridentity.invokedby, useridentity.accountid, 'unknown')"
        }
        (TrailKey::Principal, Insights) => {
            "coalesce(userIdentity.arn, userIdentity.principalId, userIdentity.invokedBy, userIdentity.accountId)"
        }
        (TrailKey::Principal, DuckDb) => {
            "CASE WHEN json_extract_string(e, '$.userIdentity.accountId') = 'ANONYMOUS_PRINCIPAL' THEN 'anonymous' ELSE coalesce(nullif(json_extract_string(e, '$.userIdentity.arn'), ''), nullif(json_extract_string(e, '$.userIdentity.principalId'), ''), nullif(json_extract_string(e, '$.userIdentity.invokedBy'), ''), nullif(json_extract_string(e, '$.userIdentity.accountId'), ''), 'unknown') END"
        }
        (TrailKey::Ip, Athena) => "sourceipaddress",
        (TrailKey::Ip, Insights) => "sourceIPAddress",
        (TrailKey::Ip, DuckDb) => "coalesce(json_extract_string(e, '$.sourceIPAddress'), '')",
        (TrailKey::Bucket, Athena) => "json_extract_scalar(requestparameters, '$.bucketName')",
        (TrailKey::Bucket, Insights) => "requestParameters.bucketName",
        (TrailKey::Bucket, DuckDb) => "coalesce(json_extract_string(e, '$.requestParameters.bucketName'), '')",
        (TrailKey::Event, Athena) => "eventname",
        (TrailKey::Event, Insights) => "eventName",
        (TrailKey::Event, DuckDb) => "json_extract_string(e, '$.eventName')",
        (TrailKey::Hour, Athena) => "concat(substr(eventtime, 1, 13), ':00:00Z')",
        (TrailKey::Hour, Insights) => "bin(1h)",
        (TrailKey::Hour, DuckDb) => "concat(substr(json_extract_string(e, '$.eventTime'), 1, 13), ':00:00Z')",
        (TrailKey::Day, Athena) => "concat(substr(eventtime, 1, 10), 'T00:00:00Z')",
        (TrailKey::Day, Insights) => "bin(1d)",
        (TrailKey::Day, DuckDb) => "concat(substr(json_extract_string(e, '$.eventTime'), 1, 10), 'T00:00:00Z')",
        (TrailKey::Key, Athena) => "useridentity.accesskeyid",
        (TrailKey::Key, Insights) => "userIdentity.accessKeyId",
        (TrailKey::Key, DuckDb) => "coalesce(json_extract_string(e, '$.userIdentity.accessKeyId'), '')",
        (TrailKey::Owner, Athena) => "element_at(filter(resources, r -> r.type = 'AWS::S3::Bucket'), 1).accountid",
        (TrailKey::Owner, Insights) => "resources.1.accountId",
        (TrailKey::Owner, DuckDb) => {
            "coalesce(json_extract_string(list_filter(CAST(json_extract(e, '$.resources') AS JSON[]), lambda r: split_part(json_extract_string(r, '$.ARN'), ':::', 2) = json_extract_string(e, '$.requestParameters.bucketName'))[1], '$.accountId'), '')"
        }
        (TrailKey::Endpoint, Athena) => "vpcendpointid",
        (TrailKey::Endpoint, Insights) => "vpcEndpointId",
        (TrailKey::Endpoint, DuckDb) => "coalesce(json_extract_string(e, '$.vpcEndpointId'), '')",
        (TrailKey::From, Athena) => {
            "split_part(json_extract_scalar(requestparameters, '$[\"x-amz-copy-source\"]'), '/', 1)"
        }
        (TrailKey::From, Insights) => "`requestParameters.x-amz-copy-source`",
        (TrailKey::From, DuckDb) => {
            "coalesce(split_part(ltrim(json_extract_string(e, '$.requestParameters.\"x-amz-copy-source\"'), '/'), '/', 1), '')"
        }
    }
}

fn athena(keys: &[TrailKey], filter: &TrailFilter, limit: usize) -> String {
    let bytes = |name: &str| {
        format!(
            "coalesce(sum(CAST(json_extract_scalar(additionaleventdata, '$.{name}') AS double)) FILTER (WHERE errorcode IS NULL), 0)"
        )
    };
    let sums = [
        format!("{} AS bytes", bytes("bytesTransferredOut")),
        format!("{} AS bytes_in", bytes("bytesTransferredIn")),
        "count(*) AS requests".to_owned(),
        "count(errorcode) AS errors".to_owned(),
        "count(DISTINCT json_extract_scalar(requestparameters, '$.bucketName') || '/' || json_extract_scalar(requestparameters, '$.key')) FILTER (WHERE errorcode IS NULL) AS objects".to_owned(),
        "min(eventtime) AS first_seen".to_owned(),
        "max(eventtime) AS last_seen".to_owned(),
    ];
    let note = "-- eventtime is text like 2026-03-10T02:47:11Z: compare it with text of that form (or parse it), never with a\n-- timestamp. Add your partition columns (region, day) or the whole table is read. Copies of an event in several\n-- trails count once per eventid: select from a sub-query with DISTINCT ON that column where you have several.\n";
    format!(
        "{note}{}",
        grouped(Dialect::Athena, keys, &sums, "cloudtrail_logs", filter, limit)
    )
}

fn duckdb(keys: &[TrailKey], filter: &TrailFilter, limit: usize) -> String {
    let bytes = |name: &str| {
        format!(
            "coalesce(sum(CAST(json_extract_string(e, '$.additionalEventData.{name}') AS DOUBLE)) FILTER (WHERE json_extract_string(e, '$.errorCode') IS NULL), 0)::HUGEINT"
        )
    };
    let sums = [
        format!("{} AS bytes", bytes("bytesTransferredOut")),
        format!("{} AS bytes_in", bytes("bytesTransferredIn")),
        "count(*) AS requests".to_owned(),
        "count(json_extract_string(e, '$.errorCode')) AS errors".to_owned(),
        "count(DISTINCT (json_extract_string(e, '$.requestParameters.bucketName'), json_extract_string(e, '$.requestParameters.key'))) FILTER (WHERE json_extract_string(e, '$.errorCode') IS NULL AND coalesce(json_extract_string(e, '$.requestParameters.key'), '') <> '' AND json_extract_string(e, '$.requestParameters.bucketName') IS NOT NULL) AS objects".to_owned(),
        "min(json_extract_string(e, '$.eventTime')) AS first_seen".to_owned(),
        "max(json_extract_string(e, '$.eventTime')) AS last_seen".to_owned(),
    ];
    let events = "WITH files AS (SELECT unnest(Records) AS e FROM read_json('PATH/**/*.json.gz', columns = {Records: 'JSON[]'}, maximum_object_size = 100000000)),\n     events AS (SELECT DISTINCT ON (json_extract_string(e, '$.eventID'), json_extract_string(e, '$.recipientAccountId')) e FROM files)\n";
    format!(
        "{events}{}",
        grouped(Dialect::DuckDb, keys, &sums, "events", filter, limit)
    )
}

fn grouped(
    dialect: Dialect,
    keys: &[TrailKey],
    sums: &[String],
    table: &str,
    filter: &TrailFilter,
    limit: usize,
) -> String {
    let named = keys
        .iter()
        .map(|k| format!("{} AS \"{}\"", column(dialect, *k), k.name()));
    let columns: Vec<String> = named.chain(sums.iter().cloned()).collect();
    let mut text = format!("SELECT {}\nFROM {table}\n", columns.join(",\n       "));
    let terms = terms(dialect, filter);
    if !terms.is_empty() {
        text += &format!("WHERE {}\n", terms.join("\n  AND "));
    }
    if !keys.is_empty() {
        let numbers: Vec<String> = (1..=keys.len()).map(|n| n.to_string()).collect();
        text += &format!("GROUP BY {}\n", numbers.join(", "));
    }
    let having: Vec<String> = filter
        .sums
        .iter()
        .map(|s| format!("{} {} {}", s.column, s.op, s.value))
        .collect();
    if !having.is_empty() {
        text = format!("SELECT * FROM (\n{text})\nWHERE {}\n", having.join(" AND "));
    }
    let order: Vec<String> = keys.iter().map(|k| format!("\"{}\"", k.name())).collect();
    let order = [vec!["bytes DESC".to_owned(), "requests DESC".to_owned()], order].concat();
    text += &format!("ORDER BY {}", order.join(", "));
    if limit > 0 {
        text += &format!("\nLIMIT {limit}");
    }
    text + ";\n"
}

fn insights(keys: &[TrailKey], filter: &TrailFilter, limit: usize) -> String {
    let mut text = "# bytes of failed requests are error messages: the filter on errorCode keeps them out\nfilter not ispresent(errorCode)\n".to_owned();
    for term in terms(Dialect::Insights, filter) {
        text += &format!("| filter {term}\n");
    }
    let by: Vec<&str> = keys.iter().map(|k| column(Dialect::Insights, *k)).collect();
    let sums = "sum(additionalEventData.bytesTransferredOut) as bytes, sum(additionalEventData.bytesTransferredIn) as bytes_in, count(*) as requests, min(eventTime) as first_seen, max(eventTime) as last_seen";
    let by = if by.is_empty() {
        String::new()
    } else {
        format!(" by {}", by.join(", "))
    };
    text += &format!(
        "| stats {sums}{by}\n| sort bytes desc\n| limit {}\n",
        if limit == 0 { 10_000 } else { limit }
    );
    text
}

/// The filter's terms as conditions.
fn terms(dialect: Dialect, filter: &TrailFilter) -> Vec<String> {
    let mut out = Vec::new();
    for term in &filter.terms {
        let column = match (term.field, dialect) {
            (Field::Key(key), _) => column(dialect, key),
            (Field::Error, Dialect::Athena) => "errorcode",
            (Field::Error, Dialect::Insights) => "errorCode",
            (Field::Error, Dialect::DuckDb) => "json_extract_string(e, '$.errorCode')",
            (Field::Service, Dialect::Athena) => "eventsource",
            (Field::Service, Dialect::Insights) => "eventSource",
            (Field::Service, Dialect::DuckDb) => "json_extract_string(e, '$.eventSource')",
            (Field::Account, Dialect::Athena) => "useridentity.accountid",
            (Field::Account, Dialect::Insights) => "userIdentity.accountId",
            (Field::Account, Dialect::DuckDb) => "json_extract_string(e, '$.userIdentity.accountId')",
        };
        let any: Vec<String> = term
            .values
            .iter()
            .map(|v| condition(dialect, term.field, column, v))
            .collect();
        let not = if term.keep { "" } else { "NOT " };
        out.push(format!("{not}({})", any.join(" OR ")));
    }
    out
}

fn condition(dialect: Dialect, field: Field, column: &str, value: &str) -> String {
    let quoted = value.replace('\'', "''");
    match (field, value, dialect) {
        (Field::Error, "no", Dialect::Insights) => format!("not ispresent({column})"),
        (Field::Error, "yes", Dialect::Insights) => format!("ispresent({column})"),
        (Field::Error, "no", _) => format!("{column} IS NULL"),
        (Field::Error, "yes", _) => format!("{column} IS NOT NULL"),
        (Field::Key(TrailKey::Ip), v, Dialect::Insights) if v.contains('/') => {
            format!("isIpInSubnet({column}, '{quoted}')")
        }
        (Field::Key(TrailKey::Ip), v, Dialect::Athena) if v.contains('/') => {
            format!("contains('{quoted}', try_cast({column} AS ipaddress))")
        }
        (Field::Key(TrailKey::Ip), v, Dialect::DuckDb) if v.contains('/') => inside(column, v),
        (_, v, Dialect::Insights) if v.contains('*') => format!("{column} like '{}'", quoted.replace('*', "%")),
        (_, v, _) if v.contains('*') => format!("{column} LIKE '{}'", quoted.replace('*', "%")),
        _ => format!("{column} = '{quoted}'"),
    }
}
/// DuckDB knows addresses only with an extension: IPv4 is compared as a number, which needs none.
fn inside(column: &str, network: &str) -> String {
    match network.parse::<IpNetwork>() {
        Ok(IpNetwork::V4(net)) => {
            let part = |n: u8, of: u32| format!("split_part({column}, '.', {n})::BIGINT * {of}");
            let number = [part(1, 1 << 24), part(2, 1 << 16), part(3, 1 << 8), part(4, 1)].join(" + ");
            let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
            format!(
                "CASE WHEN regexp_full_match({column}, '[0-9]{{1,3}}([.][0-9]{{1,3}}){{3}}') THEN {number} BETWEEN {first} AND {last} ELSE false END"
            )
        }
        Ok(IpNetwork::V6(net)) => format!("try_cast({column} AS INET) <<= '{net}'::INET /* LOAD inet */"),
        Err(_) => "false".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_become_conditions_that_each_engine_understands() {
        let of = |filter: &str, dialect| {
            let filter = TrailFilter::parse(filter).unwrap();
            query(dialect, &[TrailKey::Day], &filter, 5)
        };
        let duckdb = of("ip=10.1.0.0/16", Dialect::DuckDb);
        assert!(duckdb.contains("BETWEEN 167837696 AND 167903231"), "{duckdb}");
        assert!(!duckdb.contains("10.1.0.0/16"), "{duckdb}");
        assert!(of("ip=2001:db8::/32", Dialect::DuckDb).contains("<<= '2001:db8::/32'::INET"));
        assert!(of("ip=10.1.0.0/16", Dialect::Athena).contains("contains('10.1.0.0/16', try_cast("));
        assert!(of("ip=10.1.0.0/16", Dialect::Insights).contains("isIpInSubnet("));
        assert!(of("", Dialect::Insights).contains("bin(1d)"));
    }
}
