//! A kubeconfig: where a cluster is, whom to believe, and who one is there.

use std::path::{Path, PathBuf};
use std::process::Command;

use apimachinery::value::Value;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::https::{Identity, Trust};

/// What the current context of a kubeconfig comes to.
#[derive(Clone)]
pub struct Login {
    /// `https://host:port`, perhaps with a path.
    pub server: String,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// The client certificate, if there is one.
    pub identity: Option<Identity>,
    /// The bearer token, if there is one.
    pub token: Option<String>,
    /// The context's namespace; `default` if it names none.
    pub namespace: String,
}

/// A kubeconfig that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("kubeconfig {file}: {problem}")]
pub struct Error {
    file: String,
    problem: String,
}

/// Where a kubeconfig is looked for: the first file of `$KUBECONFIG` that exists, else `~/.kube/config`. kubectl reads all files
/// of `$KUBECONFIG` as one; here it is one of them.
#[must_use]
pub fn default_path() -> PathBuf {
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let named: Vec<PathBuf> = std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).collect();
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".kube/config");
    named.iter().find(|path| path.exists()).or(named.first()).cloned().unwrap_or_else(home)
}

impl Login {
    /// Reads a kubeconfig. A credential plugin (`exec`) is run, as kubectl does.
    ///
    /// # Errors
    /// The file cannot be read, names no such context, or has credentials of a kind that is not known here.
    pub fn read(path: &Path, context: Option<&str>) -> Result<Self, Error> {
        let bad = |problem: String| Error { file: path.display().to_string(), problem };
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let config = apimachinery::yaml::parse(&text).map_err(|error| bad(format!("line {}: {error}", error.line)))?;
        let base = path.parent().unwrap_or(Path::new("."));
        Self::of(&config, context, base).map_err(bad)
    }

    fn of(config: &Value, context: Option<&str>, base: &Path) -> Result<Self, String> {
        let current = config["current-context"].as_str().filter(|name| !name.is_empty());
        let context = context.or(current).ok_or("there is no current-context: give --context")?;
        let entry = |list: &str, name: &str, inside: &str| {
            let entries = config[list].as_array().into_iter().flatten();
            let found = entries.clone().find(|entry| entry["name"] == *name).map(|entry| entry[inside].clone());
            found.ok_or_else(|| {
                let names: Vec<&str> = entries.filter_map(|entry| entry["name"].as_str()).collect();
                format!("{list} has no {name:?}; there are {}", names.join(", "))
            })
        };
        let context = entry("contexts", context, "context")?;
        let named = |key: &str| context[key].as_str().unwrap_or_default();
        let cluster = entry("clusters", named("cluster"), "cluster")?;
        let user = if named("user").is_empty() { Value::Null } else { entry("users", named("user"), "user")? };
        let bytes = |object: &Value, key: &str| -> Result<Option<Vec<u8>>, String> {
            if let Some(data) = object[format!("{key}-data")].as_str().filter(|data| !data.is_empty()) {
                return STANDARD.decode(data).map(Some).map_err(|error| format!("{key}-data is no base64: {error}"));
            }
            match object[key].as_str().filter(|file| !file.is_empty()) {
                Some(file) => {
                    std::fs::read(base.join(file)).map(Some).map_err(|error| format!("{key} {file}: {error}"))
                }
                None => Ok(None),
            }
        };
        for key in ["username", "auth-provider"] {
            if !user[key].is_null() {
                return Err(format!(
                    "the user has {key}, which is not known here: give it a token, a client certificate or exec"
                ));
            }
        }
        for key in ["proxy-url", "tls-server-name"] {
            if !cluster[key].is_null() {
                return Err(format!("the cluster has {key}, which is not known here"));
            }
        }
        let server = cluster["server"].as_str().ok_or("the cluster has no server")?.trim_end_matches('/').to_owned();
        let trust = if cluster["insecure-skip-tls-verify"] == true {
            Trust::Anyone
        } else {
            let authority = bytes(&cluster, "certificate-authority")?
                .ok_or("the cluster has no certificate-authority, and no authority is believed without being named")?;
            Trust::Pem(String::from_utf8_lossy(&authority).into_owned())
        };
        let mut login = Self {
            server,
            trust,
            identity: match (bytes(&user, "client-certificate")?, bytes(&user, "client-key")?) {
                (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
                (None, None) => None,
                _ => return Err("the user has only one of client-certificate and client-key".to_owned()),
            },
            token: user["token"].as_str().filter(|token| !token.is_empty()).map(str::to_owned),
            namespace: context["namespace"].as_str().filter(|name| !name.is_empty()).unwrap_or("default").to_owned(),
        };
        if let Some(file) = user["tokenFile"].as_str().filter(|_| login.token.is_none()) {
            let token =
                std::fs::read_to_string(base.join(file)).map_err(|error| format!("tokenFile {file}: {error}"))?;
            login.token = Some(token.trim().to_owned());
        }
        if user["exec"].is_object() {
            login.plugin(&user["exec"])?;
        }
        Ok(login)
    }

    /// Runs a credential plugin (`client.authentication.k8s.io`).
    fn plugin(&mut self, exec: &Value) -> Result<(), String> {
        let program = exec["command"].as_str().unwrap_or_default();
        let bad = |problem: String| format!("credential plugin {program:?}: {problem}");
        let mut command = Command::new(program);
        command.args(exec["args"].as_array().into_iter().flatten().filter_map(Value::as_str));
        for variable in exec["env"].as_array().into_iter().flatten() {
            if let (Some(name), Some(value)) = (variable["name"].as_str(), variable["value"].as_str()) {
                command.env(name, value);
            }
        }
        let info = apimachinery::value::json!({
            "apiVersion": exec["apiVersion"], "kind": "ExecCredential", "spec": { "interactive": false },
        });
        let done = command.env("KUBERNETES_EXEC_INFO", info.to_string()).output();
        let done = done.map_err(|error| bad(error.to_string()))?;
        if !done.status.success() {
            return Err(bad(format!("{}: {}", done.status, String::from_utf8_lossy(&done.stderr).trim())));
        }
        // What it printed is a secret, and is not shown.
        let credential: Value =
            serde_json::from_slice(&done.stdout).map_err(|_| bad("printed something else than JSON".to_owned()))?;
        let text = |key: &str| credential["status"][key].as_str().map(str::to_owned);
        if let Some(token) = text("token") {
            self.token = Some(token);
        }
        if let (Some(certificate), Some(key)) = (text("clientCertificateData"), text("clientKeyData")) {
            self.identity = Some(Identity { certificate: certificate.into_bytes(), key: key.into_bytes() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    fn config() -> Value {
        json!({
            "current-context": "a",
            "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
                {"name": "b", "context": {"cluster": "nowhere"}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://host:6443/", "certificate-authority-data": "Q0E="}}],
            "users": [{"name": "u", "user": {"token": "t"}},
                {"name": "p", "user": {"exec": {"command": "sh", "args": ["-c", "printf '%s' \"$OUT\""],
                    "env": [{"name": "OUT", "value": "{\"status\":{\"token\":\"made\"}}"}]}}}],
        })
    }

    #[test]
    fn a_context_is_a_server_and_a_user() {
        let login = Login::of(&config(), None, Path::new("")).unwrap();
        assert_eq!((login.server.as_str(), login.namespace.as_str()), ("https://host:6443", "shop"));
        assert_eq!(login.token.as_deref(), Some("t"));
        assert!(matches!(login.trust, Trust::Pem(pem) if pem == "CA"));
    }

    #[test]
    fn a_plugin_gives_the_token() {
        let mut config = config();
        config["contexts"][0]["context"]["user"] = "p".into();
        assert_eq!(Login::of(&config, Some("a"), Path::new("")).unwrap().token.as_deref(), Some("made"));
        config["users"][1]["user"]["exec"]["args"][1] = "echo no >&2; exit 3".into();
        let error = Login::of(&config, Some("a"), Path::new("")).err().unwrap();
        assert!(error.contains("\"sh\"") && error.contains("no"), "{error}");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (context, says) in
            [(Some("x"), "contexts has no \"x\"; there are a, b"), (Some("b"), "no \"nowhere\"; there are c")]
        {
            let error = Login::of(&config(), context, Path::new("")).err().unwrap();
            assert!(error.contains(says), "{error}");
        }
        let error = Login::of(&json!({}), None, Path::new("")).err().unwrap();
        assert!(error.contains("--context"), "{error}");
        let mut basic = config();
        basic["users"][0]["user"] = json!({ "username": "a", "password": "hidden" });
        let error = Login::of(&basic, None, Path::new("")).err().unwrap();
        assert!(error.contains("username") && !error.contains("hidden"), "{error}");
        let missing = Login::read(Path::new("no/such/kubeconfig"), None).err().unwrap().to_string();
        assert!(missing.starts_with("kubeconfig no/such/kubeconfig: "), "{missing}");
    }
}
