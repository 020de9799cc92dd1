//! Times as the apiserver reads and writes them.

use jiff::Timestamp;

/// RFC 3339 in UTC, to the second or to the microsecond; the error is Go's.
pub(super) fn canonical(text: &str, micro: bool) -> Result<String, String> {
    let well_formed = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T');
    match text.parse::<Timestamp>() {
        Ok(time) if well_formed && micro => Ok(time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()),
        Ok(time) if well_formed => Ok(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        _ => {
            let layout = if micro { "2006-01-02T15:04:05.000000Z07:00" } else { "2006-01-02T15:04:05Z07:00" };
            let quoted = apimachinery::go::quote(text);
            Err(format!("parsing time {quoted} as \"{layout}\": cannot parse {quoted} as \"2006\""))
        }
    }
}
