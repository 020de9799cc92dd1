//! The server over real TLS on a loopback port.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use injector::serve::{self, Error, Limits, LoadError, Reload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{CONFIG, Certificate, Client, Folder, Protocol, pod, review};

const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn a_review_is_answered_over_http1_and_http2() {
    let certificate = Certificate::new();
    let folder = Folder::new(&certificate);
    let server = serve::start(folder.options()).await.unwrap();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = Client::connect(server.addr(), &certificate, protocol).await.unwrap();
        assert_eq!(client.injected_image().await.as_deref(), Some("proxy:one"));
        assert_eq!(client.get("/ready").await, (200, "ok\n".to_owned()));
        assert_eq!(client.get("/healthz").await, (200, "ok\n".to_owned()));
        assert_eq!(client.get("/elsewhere").await.0, 404);
        assert_eq!(client.get("/inject").await.0, 405);
    }
    let (_, metrics) =
        Client::connect(server.addr(), &certificate, Protocol::Http1).await.unwrap().get("/metrics").await;
    for line in [
        "sidecar_injection_requests_total 4",
        "sidecar_injection_success_total 2",
        "sidecar_injection_failure_total 2",
        "sidecar_injection_skip_total 0",
        "sidecar_injection_time_seconds_count 2",
        "sidecar_injector_reviews_total{outcome=\"injected\"} 2",
        "sidecar_injector_http_responses_total{code=\"405\"} 2",
        "sidecar_injector_config_rejected 0",
        "sidecar_injector_certificate_expiry_timestamp_seconds 64060588800",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.contains(&format!("sidecar_injector_config{{hash=\"{}\"}} 1", server.config_hash())), "{metrics}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_request_that_is_no_review_gets_a_status_and_a_sentence() {
    let certificate = Certificate::new();
    let folder = Folder::new(&certificate);
    let server = serve::start(folder.options()).await.unwrap();
    let good = review("shop", &pod()).to_string();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for (content_type, body, status, says) in [
            (JSON, String::new(), 400, "no body found"),
            (Some("text/plain"), good.clone(), 415, "application/json"),
            (None, good.clone(), 415, "application/json"),
            (JSON, " ".repeat(7 << 20), 413, "limit is 6291456"),
            (Some("application/json; charset=utf-8"), good.clone(), 200, "\"allowed\":true"),
        ] {
            let mut client = Client::connect(server.addr(), &certificate, protocol).await.unwrap();
            let (got, answer) = client.post(content_type, body).await;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert_eq!(got, status, "{content_type:?}: {answer}");
            assert!(answer.contains(says), "{content_type:?}: {answer}");
        }
        // What is JSON by its type, but no review: refused or denied, never dropped, and the next one is answered.
        for body in
            ["{", "[]", "null", "{}", "\u{0}", r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#]
        {
            let mut client = Client::connect(server.addr(), &certificate, protocol).await.unwrap();
            let (status, answer) = client.post(JSON, body).await;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(
                status == 400 || (status == 200 && answer.contains("\"allowed\":false")),
                "{body}: {status} {answer}"
            );
            assert_eq!(client.post(JSON, good.clone()).await.0, 200);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_at_the_start() {
    let certificate = Certificate::new();
    let other = Certificate::new();
    let chain = |error: Error| format!("{:#}", anyhow::Error::from(error));

    let folder = Folder::new(&certificate);
    folder.certificate(&Certificate::valid(2001, 2002));
    let error = chain(serve::start(folder.options()).await.unwrap_err());
    assert!(error.contains("tls.crt") && error.contains("2002-01-01T00:00:00Z"), "{error}");

    folder.certificate(&Certificate::valid(3999, 4000));
    let error = chain(serve::start(folder.options()).await.unwrap_err());
    assert!(error.contains("tls.crt") && error.contains("not valid before 3999-01-01"), "{error}");

    folder.certificate(&Certificate { pem: certificate.pem.clone(), key: other.key.clone() });
    let error = chain(serve::start(folder.options()).await.unwrap_err());
    assert!(error.contains("tls.key") && error.contains("does not belong"), "{error}");

    folder.certificate(&Certificate { pem: "nothing".to_owned(), key: certificate.key.clone() });
    let error = chain(serve::start(folder.options()).await.unwrap_err());
    assert!(error.contains("tls.crt") && error.contains("no certificate"), "{error}");

    folder.certificate(&Certificate { pem: certificate.pem.clone(), key: certificate.pem.clone() });
    let error = chain(serve::start(folder.options()).await.unwrap_err());
    assert!(error.contains("tls.key") && error.contains("no private key"), "{error}");

    folder.certificate(&certificate);
    std::fs::remove_file(folder.path("config.yaml")).unwrap();
    let error = chain(serve::start(folder.options()).await.unwrap_err());
    assert!(error.contains("config.yaml") && error.contains("No such file"), "{error}");

    folder.write("config.yaml", "policy: enabled\ntemplate: |-\n  containers:\n  - name: [[ if ]]\n");
    let error = chain(serve::start(folder.options()).await.unwrap_err());
    assert!(error.contains("config.yaml") && error.contains("line"), "{error}");

    folder.write("config.yaml", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: istio}\ndata: {values: \"{}\"}\n");
    let error = chain(serve::start(folder.options()).await.unwrap_err());
    assert!(error.contains("config.yaml") && error.contains("config"), "{error}");

    folder.write("config.yaml", CONFIG);
    let first = serve::start(folder.options()).await.unwrap();
    let mut options = folder.options();
    options.listen = first.addr();
    let error = chain(serve::start(options).await.unwrap_err());
    assert!(error.contains(&first.addr().to_string()) && error.contains("in use"), "{error}");
}

#[tokio::test]
async fn a_bad_configuration_leaves_the_last_good_one_in_use() {
    let certificate = Certificate::new();
    let folder = Folder::new(&certificate);
    let server = serve::start(folder.options()).await.unwrap();
    let mut client = Client::connect(server.addr(), &certificate, Protocol::Http2).await.unwrap();
    let first = server.config_hash();
    assert_eq!(server.reload_config().unwrap(), Reload::Unchanged);

    folder.write("config.yaml", "policy: enabled\ntemplate: '[[ nosuchfunction ]]'\n");
    let error = server.reload_config().unwrap_err();
    assert!(matches!(error, LoadError::Config { .. }), "{error}");
    assert!(format!("{:#}", anyhow::Error::from(error)).contains("nosuchfunction"));
    assert_eq!(server.config_hash(), first);
    assert_eq!(client.injected_image().await.as_deref(), Some("proxy:one"));
    assert!(server.metrics().contains("sidecar_injector_config_rejected 1"));

    // It parses, but fails on every pod.
    folder.write("config.yaml", &CONFIG.replace("proxy:one", "[[ .ObjectMeta.Nosuch ]]"));
    let error = server.reload_config().unwrap_err();
    assert!(matches!(error, LoadError::Denies { .. }) && error.to_string().contains("Nosuch"), "{error}");
    assert_eq!(client.injected_image().await.as_deref(), Some("proxy:one"));

    folder.write("config.yaml", &CONFIG.replace("proxy:one", "proxy:two"));
    assert_eq!(server.reload_config().unwrap(), Reload::Replaced);
    assert_ne!(server.config_hash(), first);
    assert_eq!(client.injected_image().await.as_deref(), Some("proxy:two"));
    let metrics = server.metrics();
    assert!(metrics.contains("sidecar_injector_config_rejected 0"), "{metrics}");
    assert!(
        metrics.contains("sidecar_injector_reloads_total{what=\"configuration\",result=\"failure\"} 2"),
        "{metrics}"
    );
    assert!(
        metrics.contains("sidecar_injector_reloads_total{what=\"configuration\",result=\"success\"} 1"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_configuration_and_certificate_change() {
    let certificate = Certificate::new();
    let folder = Folder::new(&certificate);
    let server = Arc::new(serve::start(folder.options()).await.unwrap());
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let mut clients = Vec::new();
    for n in 0..4 {
        let protocol = if n % 2 == 0 { Protocol::Http1 } else { Protocol::Http2 };
        let mut client = Client::connect(server.addr(), &certificate, protocol).await.unwrap();
        let (done, seen) = (Arc::clone(&done), Arc::clone(&seen));
        clients.push(tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                match client.injected_image().await.as_deref() {
                    Some("proxy:one") => seen[0].fetch_add(1, Ordering::Relaxed),
                    Some("proxy:two") => seen[1].fetch_add(1, Ordering::Relaxed),
                    other => panic!("neither the old nor the new configuration: {other:?}"),
                };
            }
        }));
    }

    let renewed = Certificate::new();
    let two = CONFIG.replace("proxy:one", "proxy:two");
    for round in 0..40 {
        folder.write("config.yaml", if round % 2 == 0 { &two } else { CONFIG });
        assert_eq!(server.reload_config().unwrap(), Reload::Replaced);
        let certificate = if round % 2 == 0 { &renewed } else { &certificate };
        folder.certificate(certificate);
        assert_eq!(server.reload_certificate().unwrap(), Reload::Replaced);
        // A new connection is shown the new certificate at once, and only that one.
        let mut client = Client::connect(server.addr(), certificate, Protocol::Http2).await.unwrap();
        assert!(client.injected_image().await.is_some());
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(seen[0].load(Ordering::Relaxed) + seen[1].load(Ordering::Relaxed) > 0);
    let metrics = server.metrics();
    assert!(metrics.contains("sidecar_injection_failure_total 0"), "{metrics}");
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_is_refused_and_the_old_one_shown() {
    let certificate = Certificate::new();
    let folder = Folder::new(&certificate);
    let server = serve::start(folder.options()).await.unwrap();
    let renewed = Certificate::new();
    folder.write("tls.crt", &renewed.pem);
    let error = server.reload_certificate().unwrap_err().to_string();
    assert!(error.contains("does not belong"), "{error}");
    assert!(Client::connect(server.addr(), &certificate, Protocol::Http2).await.is_ok());
    folder.write("tls.key", &renewed.key);
    assert_eq!(server.reload_certificate().unwrap(), Reload::Replaced);
    assert_eq!(server.reload_certificate().unwrap(), Reload::Unchanged);
    assert!(Client::connect(server.addr(), &renewed, Protocol::Http2).await.is_ok());
    assert!(Client::connect(server.addr(), &certificate, Protocol::Http2).await.is_err());
}

#[tokio::test]
async fn changed_files_are_noticed_without_being_told() {
    let certificate = Certificate::new();
    let folder = Folder::new(&certificate);
    let mut options = folder.options();
    options.poll = Duration::from_millis(10);
    let server = serve::start(options).await.unwrap();
    let mut client = Client::connect(server.addr(), &certificate, Protocol::Http2).await.unwrap();
    folder.write("config.yaml", &CONFIG.replace("proxy:one", "proxy:and-another"));
    while client.injected_image().await.as_deref() != Some("proxy:and-another") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn shutdown_answers_what_has_begun_and_takes_nothing_new() {
    let certificate = Certificate::new();
    let folder = Folder::new(&certificate);
    let server = serve::start(folder.options()).await.unwrap();
    let addr = server.addr();
    let service = injector_service();

    // A request whose body is half sent when the order to stop comes.
    let (client, end) = tokio::io::duplex(1 << 16);
    let serving = tokio::spawn(async move { service.serve_connection(end).await });
    let body = review("shop", &pod()).to_string();
    let (mut reader, mut writer) = tokio::io::split(client);
    let head = format!(
        "POST /inject HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    writer.write_all(head.as_bytes()).await.unwrap();
    writer.write_all(&body.as_bytes()[..10]).await.unwrap();
    writer.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut answer = String::new();
    reader.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    serving.await.unwrap();

    let mut idle = Client::connect(addr, &certificate, Protocol::Http2).await.unwrap();
    assert_eq!(idle.get("/ready").await.0, 200);
    server.shutdown().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    let request = http::Request::get("https://localhost/ready").body(http_body_util::Full::<Bytes>::default()).unwrap();
    assert!(idle.send(request).await.is_err());
}

fn injector_service() -> serve::Service {
    let settings = injector::config::Settings { inject_config: CONFIG.to_owned(), ..Default::default() };
    let injector = injector::Injector::load(settings).unwrap();
    serve::service(Arc::new(injector), Limits::default(), apimachinery::clock::Clock::system())
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_is_closed_after_the_idle_time() {
    let (mut client, end) = tokio::io::duplex(1 << 16);
    let service = injector_service();
    let began = tokio::time::Instant::now();
    let serving = tokio::spawn(async move { service.serve_connection(end).await });
    client.write_all(b"GET /ready HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    serving.await.unwrap();
    assert!(began.elapsed() <= Limits::default().idle);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    let (mut client, end) = tokio::io::duplex(1 << 16);
    let service = injector_service();
    tokio::spawn(async move { service.serve_connection(end).await });
    let head = "POST /inject HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408 Request Timeout\r\n"), "{}", String::from_utf8_lossy(&answer));
}
