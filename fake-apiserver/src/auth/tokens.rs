//! Service account tokens: JWTs signed by a key of the cluster, bound to an account and, if asked, to a pod, secret or node.

use std::collections::BTreeMap;

use apimachinery::value::{Value, json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use sha2::{Digest, Sha256};

use super::CREDENTIAL_ID;
use crate::Error;
use crate::admission::UserInfo;
use crate::random::Random;
use crate::store::Store;
use apimachinery::clock::Clock;

/// The issuer, and the audience of tokens that are meant for the API itself.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";

/// The cluster's signer of tokens.
pub(crate) struct Tokens {
    key: KeyPair,
    id: String,
}

/// What a good token says.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    pub(crate) user: UserInfo,
    /// Those of the audiences asked for that the token is for.
    pub(crate) audiences: Vec<String>,
}

/// What a token is bound to besides its account.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    /// `pod`, `secret` or `node`.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// The groups of every service account of a namespace.
pub(crate) fn account_groups(namespace: &str) -> Vec<String> {
    vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}"), "system:authenticated".into()]
}

impl Tokens {
    pub(crate) fn new() -> Result<Tokens, Error> {
        let key = KeyPair::generate().map_err(|source| Error::Certificate { what: "the key for tokens", source })?;
        let id = BASE64.encode(Sha256::digest(key.subject_public_key_info()));
        Ok(Tokens { key, id })
    }

    /// A token for an account (name and uid), valid for `seconds` from `now` (seconds since 1970).
    #[expect(clippy::too_many_arguments, reason = "each is a claim of its own")]
    pub(crate) fn issue(
        &self,
        random: &Random,
        namespace: &str,
        account: (&str, &str),
        audiences: &[String],
        bound: Option<&Bound>,
        now: i64,
        seconds: i64,
    ) -> Option<String> {
        let (name, uid) = account;
        let mut kubernetes = json!({"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}});
        if let Some(bound) = bound {
            kubernetes[bound.kind] = json!({"name": bound.name, "uid": bound.uid});
        }
        let claims = json!({
            "aud": audiences,
            "exp": now.saturating_add(seconds),
            "iat": now,
            "iss": ISSUER,
            "jti": random.uid(),
            "kubernetes.io": kubernetes,
            "nbf": now,
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
        });
        let header = json!({"alg": "ES256", "kid": self.id});
        let text = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature = raw_signature(&self.key.sign(text.as_bytes()).ok()?)?;
        Some(format!("{text}.{}", BASE64.encode(signature)))
    }

    /// The id of a token, as users' `credential-id` names it.
    pub(crate) fn credential_id(token: &str) -> Option<String> {
        let claims = BASE64.decode(token.split('.').nth(1)?).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        Some(format!("JTI={}", claims["jti"].as_str()?))
    }

    /// Whom a token stands for. The error is the text that a TokenReview shows.
    pub(crate) fn authenticate(
        &self,
        store: &Store,
        clock: Clock,
        token: &str,
        audiences: &[String],
    ) -> Result<Verified, String> {
        const INVALID: &str = "invalid bearer token";
        let claims = self.verify(token).ok_or(INVALID)?;
        let now = crate::time::seconds(clock.now());
        if claims["exp"].as_i64().is_none_or(|end| end <= now) {
            return Err(format!("[{INVALID}, service account token has expired]"));
        }
        let meant_for: Vec<&str> = claims["aud"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let own = [ISSUER.to_owned()];
        let wanted = if audiences.is_empty() { &own[..] } else { audiences };
        let matching: Vec<String> =
            wanted.iter().filter(|wanted| meant_for.contains(&wanted.as_str())).cloned().collect();
        if matching.is_empty() {
            let quoted: Vec<String> = wanted.iter().map(|audience| format!("{audience:?}")).collect();
            let given: Vec<String> = meant_for.iter().map(|audience| format!("{audience:?}")).collect();
            return Err(format!(
                "[{INVALID}, token audiences [{}] is invalid for the target audiences [{}]]",
                given.join(" "),
                quoted.join(" ")
            ));
        }
        let user = self
            .user(store, &claims)
            .ok_or_else(|| format!("[{INVALID}, service account token has been invalidated]"))?;
        Ok(Verified { user, audiences: matching })
    }

    /// The claims of a token that this cluster signed.
    fn verify(&self, token: &str) -> Option<Value> {
        let (text, signature) = token.rsplit_once('.')?;
        let (header, claims) = text.split_once('.')?;
        let header: Value = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
        if header["alg"] != "ES256" {
            return None;
        }
        let signature = BASE64.decode(signature).ok()?;
        let public =
            ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, self.key.der_bytes());
        public.verify(text.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()
    }

    /// The user, if the account and what the token is bound to still exist.
    fn user(&self, store: &Store, claims: &Value) -> Option<UserInfo> {
        let bound = &claims["kubernetes.io"];
        let text = |part: &str, field: &str| bound[part][field].as_str().unwrap_or_default().to_owned();
        let namespace = bound["namespace"].as_str()?;
        let (name, uid) = (text("serviceaccount", "name"), text("serviceaccount", "uid"));
        let account = store.get("serviceaccounts", namespace, &name)?;
        if account.meta("uid") != uid {
            return None;
        }
        let mut extra = BTreeMap::new();
        let credential = format!("JTI={}", claims["jti"].as_str().unwrap_or_default());
        extra.insert(CREDENTIAL_ID.to_owned(), vec![credential]);
        for (part, table, within) in
            [("pod", "pods", namespace), ("secret", "secrets", namespace), ("node", "nodes", "")]
        {
            if bound[part].is_object() {
                let object = store.get(table, within, &text(part, "name"))?;
                if object.meta("uid") != text(part, "uid") {
                    return None;
                }
                if part != "secret" {
                    extra.insert(format!("authentication.kubernetes.io/{part}-name"), vec![text(part, "name")]);
                    extra.insert(format!("authentication.kubernetes.io/{part}-uid"), vec![text(part, "uid")]);
                }
            }
        }
        let username = format!("system:serviceaccount:{namespace}:{name}");
        Some(UserInfo { username, uid, groups: account_groups(namespace), extra })
    }

    /// The JWK set with which anybody can check a token.
    pub(crate) fn jwks(&self) -> Value {
        let point = self.key.der_bytes();
        let (x, y) = (point.get(1..33).unwrap_or_default(), point.get(33..65).unwrap_or_default());
        json!({"keys": [{
            "use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": "ES256",
            "x": BASE64.encode(x), "y": BASE64.encode(y),
        }]})
    }
}

/// From the ASN.1 form of an ECDSA signature (SEQUENCE of two INTEGERs) to the fixed one that JWTs carry.
fn raw_signature(der: &[u8]) -> Option<[u8; 64]> {
    fn integer<'a>(der: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (&[tag, length], rest) = der.split_first_chunk::<2>()?;
        let (digits, rest) = rest.split_at_checked(usize::from(length))?;
        *der = rest;
        (tag == 2).then(|| digits.strip_prefix(&[0]).unwrap_or(digits))
    }
    let mut rest = der.get(2..)?;
    let mut raw = [0; 64];
    for half in raw.chunks_mut(32) {
        let digits = integer(&mut rest)?;
        half.get_mut(32usize.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    }
    Some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_verify_whatever_the_length_of_their_integers() {
        let tokens = Tokens::new().unwrap();
        for n in 0..200 {
            let text =
                format!("{}.{}", BASE64.encode(r#"{"alg":"ES256"}"#), BASE64.encode(json!({"n": n}).to_string()));
            let signature = raw_signature(&tokens.key.sign(text.as_bytes()).unwrap()).unwrap();
            let token = format!("{text}.{}", BASE64.encode(signature));
            assert_eq!(tokens.verify(&token).unwrap()["n"], n);
            assert!(tokens.verify(&token.replacen('.', "x.", 1)).is_none());
        }
        for garbage in ["", "a.b.c", "..", "xyz"] {
            assert!(tokens.verify(garbage).is_none());
        }
    }
}
