//! Secrets out of results, by the rules by which they are taken out of captured logs.

use admission::capture::{Record, Redactor};
use apimachinery::value::Value;
use rustls::crypto::ring;

/// Takes secrets out of a result: what stands in a place where secrets stand, anywhere in it, and whatever quotes it.
/// The key is thrown away, so that nobody can try values against the report.
///
/// # Errors
/// The system has no randomness for a key, or what is left is not JSON any more.
pub fn without_secrets(result: &Value) -> Result<Value, String> {
    hidden(&redactor()?, result)
}

/// With a key that nobody knows.
pub(crate) fn redactor() -> Result<Redactor, String> {
    let mut key = [0; 32];
    let random = ring::default_provider().secure_random;
    random.fill(&mut key).map_err(|_| "no random bytes for a key to redact with".to_owned())?;
    Ok(Redactor::new(&key))
}

/// The same with secrets taken out: equal ones stay equal for the same redactor.
pub(crate) fn hidden(redactor: &Redactor, result: &Value) -> Result<Value, String> {
    let mut record = Record { body: result.to_string(), ..Record::default() };
    redactor.record(&mut record);
    serde_json::from_str(&record.body).map_err(|error| format!("the redacted result is not JSON: {error}"))
}
