//! Names that say that the value is a secret.

use regex::RegexSet;

/// The rule for names, with what the user added and took away.
#[derive(Clone, Debug)]
pub(super) struct Names {
    also: RegexSet,
    except: RegexSet,
}

/// In a name, whatever stands around them.
const PARTS: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "credential",
    "apikey",
    "privatekey",
    "accesskey",
    "authorization",
];

/// As a whole word of a name.
const WORDS: [&str; 8] = ["pass", "pwd", "pw", "key", "keys", "creds", "cred", "jwt"];

/// Last words of names that speak about a secret and do not hold it: `TOKEN_TTL`, `SECRET_NAME`, `KEY_FILE`.
const ABOUT: [&str; 46] = [
    "name",
    "names",
    "file",
    "files",
    "filename",
    "path",
    "paths",
    "dir",
    "directory",
    "mount",
    "ttl",
    "audience",
    "audiences",
    "type",
    "types",
    "provider",
    "enabled",
    "disabled",
    "enable",
    "disable",
    "timeout",
    "interval",
    "size",
    "length",
    "count",
    "ref",
    "namespace",
    "format",
    "mode",
    "policy",
    "version",
    "algorithm",
    "rotation",
    "age",
    "expiry",
    "expiration",
    "lifetime",
    "seconds",
    "port",
    "host",
    "issuer",
    "kind",
    "url",
    "uri",
    "endpoint",
    "annotation",
];

/// Headers that authenticate; their names need not say so.
const HEADERS: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-amz-security-token"];

impl Default for Names {
    fn default() -> Self {
        Self { also: RegexSet::empty(), except: RegexSet::empty() }
    }
}

impl Names {
    pub(super) fn new(also: &[String], except: &[String]) -> Result<Self, regex::Error> {
        let set = |patterns: &[String]| {
            regex::RegexSetBuilder::new(patterns).case_insensitive(true).size_limit(1 << 22).build()
        };
        Ok(Self { also: set(also)?, except: set(except)? })
    }

    /// An environment variable, a flag, a key of a ConfigMap: `DB_PASSWORD`, `apiKey`, `--oauth-client-secret`.
    pub(super) fn is_secret(&self, name: &str) -> bool {
        self.decide(name, |words, joined| {
            PARTS.iter().any(|part| joined.contains(part))
                || words.iter().any(|word| WORDS.contains(&word.as_str()) || word.ends_with("key"))
        })
    }

    /// In running text and configuration files, where `key: value` is no secret.
    pub(super) fn is_secret_in_text(&self, name: &str) -> bool {
        let bare = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let bare_key = bare.eq_ignore_ascii_case("key") || bare.eq_ignore_ascii_case("keys");
        (!bare_key || name.starts_with('-') || self.also.is_match(name)) && self.is_secret(name)
    }

    /// The last segment of an annotation's key; it has to end with the telling word, for in the middle it tells of others
    /// (`agent-inject-secret-foo` holds a path).
    pub(super) fn is_secret_annotation(&self, key: &str) -> bool {
        let segment = key.rsplit('/').next().unwrap_or(key);
        self.also.is_match(key) && !self.except.is_match(key)
            || !self.except.is_match(key) && self.decide(segment, ends_secret)
    }

    /// A member of a custom resource: only what can hardly be anything else.
    pub(super) fn is_secret_member(&self, name: &str) -> bool {
        const SURE: [&str; 11] = [
            "password",
            "passwd",
            "passphrase",
            "token",
            "apikey",
            "privatekey",
            "secretaccesskey",
            "secretkey",
            "clientsecret",
            "accesskey",
            "credentials",
        ];
        self.decide(name, |_, joined| SURE.iter().any(|end| joined.ends_with(end)))
    }

    /// A header, or an item of `httpHeaders`.
    pub(super) fn is_secret_header(&self, name: &str) -> bool {
        !self.except.is_match(name) && HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header))
            || self.is_secret(name)
    }

    fn decide(&self, name: &str, rule: impl Fn(&[String], &str) -> bool) -> bool {
        if self.except.is_match(name) || name == "authentication.kubernetes.io/credential-id" {
            return false;
        }
        if self.also.is_match(name) {
            return true;
        }
        // PWD alone is the working directory.
        if name == "PWD" || name == "OLDPWD" || name.len() > 1024 {
            return false;
        }
        let words = words(name);
        let joined = words.concat();
        words.last().is_some_and(|last| !ABOUT.contains(&last.as_str())) && rule(&words, &joined)
    }
}

fn ends_secret(words: &[String], joined: &str) -> bool {
    let plural = joined.strip_suffix('s').unwrap_or(joined);
    PARTS.iter().any(|part| joined.ends_with(part) || plural.ends_with(part))
        || words.last().is_some_and(|word| WORDS.contains(&word.as_str()) || word.ends_with("key"))
}

/// The words of a name, in small letters: parted by anything that is no letter or digit, and by capitals (`apiKey`).
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut previous = ' ';
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            let begins = !previous.is_ascii_alphanumeric() || c.is_ascii_uppercase() && previous.is_ascii_lowercase();
            if begins {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.push(c.to_ascii_lowercase());
            }
        }
        previous = c;
    }
    words
}

/// Values that tell nothing: empty, a truth value, a reference to another variable, or redacted already.
pub(super) fn harmless(value: &str) -> bool {
    let reference = |open: &str, close: &str| {
        value.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)).is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        })
    };
    matches!(value, "" | "true" | "false" | "null" | "True" | "False" | "none")
        || reference("$(", ")")
        || reference("${", "}")
        || is_token(value)
}

/// What [`Redactor`](super::Redactor) puts in the place of secrets, so that redacting twice changes nothing.
fn is_token(value: &str) -> bool {
    value
        .strip_prefix("redacted:")
        .or_else(|| value.strip_prefix("redacted-"))
        .is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}
