//! A webhook written in another language, unmodified, called by the `fake-apiserver` binary.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use apimachinery::value::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The binary, ended when the test is.
struct Binary {
    process: Child,
    url: String,
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(kubeconfig: &Path) -> Binary {
    let mut process = Command::new(env!("CARGO_BIN_EXE_fake-apiserver"))
        .args(["--listen", "127.0.0.1:0", "--kubeconfig"])
        .arg(kubeconfig)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("first line: {line:?}")).to_owned();
    Binary { process, url }
}

/// Writes one base64 member of the kubeconfig to a file of its own, as Python's ssl module wants it.
fn unpack(config: &Value, pointer: &str, file: PathBuf) -> PathBuf {
    let text = config.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("kubeconfig has no {pointer}"));
    std::fs::write(&file, STANDARD.decode(text).unwrap()).unwrap();
    file
}

#[test]
#[ignore = "needs Python 3"]
fn a_python_webhook_works_unmodified() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let server = start(&at("kubeconfig"));
    let config = apimachinery::yaml::parse(&std::fs::read_to_string(at("kubeconfig")).unwrap()).unwrap();

    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &rcgen::Issuer::from_params(&ca, &ca_key)).unwrap();
    for (name, pem) in [("hook-ca.crt", ca_pem), ("hook.crt", leaf.pem()), ("hook.key", key.serialize_pem())] {
        std::fs::write(at(name), pem).unwrap();
    }

    let output = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/webhook.py"))
        .arg(&server.url)
        .arg(unpack(&config, "/clusters/0/cluster/certificate-authority-data", at("ca.crt")))
        .arg(unpack(&config, "/users/0/user/client-certificate-data", at("client.crt")))
        .arg(unpack(&config, "/users/0/user/client-key-data", at("client.key")))
        .args([at("hook-ca.crt"), at("hook.crt"), at("hook.key")])
        .output()
        .unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    assert_eq!(said(&output.stdout).trim(), "ok");
}
