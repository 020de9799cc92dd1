//! The injector's manifest against a real cluster: k3s in a container.

use std::process::Command;

use testcontainers_modules::k3s::{K3s, KUBE_SECURE_PORT};
use testcontainers_modules::testcontainers::ImageExt;
use testcontainers_modules::testcontainers::runners::AsyncRunner;

#[tokio::test]
#[ignore = "needs a Docker engine and kubectl"]
async fn docker_a_real_apiserver_takes_the_deployment() {
    let dir = tempfile::tempdir().unwrap();
    let server = K3s::default()
        .with_conf_mount(dir.path())
        .with_privileged(true)
        .with_userns_mode("host")
        .start()
        .await
        .expect("k3s starts in a container");
    let port = server.get_host_port_ipv4(KUBE_SECURE_PORT).await.unwrap();
    let config = server.image().read_kube_config().unwrap().replace("127.0.0.1:6443", &format!("127.0.0.1:{port}"));
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, config).unwrap();
    let kubectl = |args: &[&str]| {
        let output = Command::new("kubectl").arg("--kubeconfig").arg(&kubeconfig).args(args).output().unwrap();
        assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    kubectl(&["create", "namespace", "istio-system"]);
    kubectl(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/injector.yaml")]);
}
