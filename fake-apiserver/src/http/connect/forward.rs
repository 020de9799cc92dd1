//! The other end of a forwarded port.

use apimachinery::value::{List, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use crate::registry::connect::Connect;

/// The longest request head that a simulated server reads.
const MAX_HEAD: usize = 64 << 10;

/// Connects a stream with a port of the pod. The error is what the client is told.
pub(super) async fn serve<S>(connect: &Connect, port: u16, mut stream: S) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let pod = connect.pod.value();
    let refused = || {
        format!(
            "error forwarding port {port} to pod {}, uid : failed to execute portforward in network namespace: failed to connect to localhost:{port} inside namespace: dial tcp4 127.0.0.1:{port}: connect: connection refused",
            connect.pod.meta("uid")
        )
    };
    if let Some(workload) = connect.core.workloads.of(pod) {
        let address = workload.connect(port).ok_or_else(refused)?;
        let mut real = TcpStream::connect(address).await.map_err(|error| format!("{}: {error}", refused()))?;
        // Either side may close whenever it likes.
        let _ = copy_bidirectional(&mut stream, &mut real).await;
        return Ok(());
    }
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array).map_or(&[][..], List::as_slice);
    let serves = |container: &&Value| {
        let ports = container["ports"].as_array().map_or(&[][..], List::as_slice);
        ports.iter().any(|own| own["containerPort"] == port)
    };
    let container = containers.iter().find(serves).ok_or_else(refused)?;
    let _ = answer(container, connect.pod.name(), port, &mut stream).await;
    Ok(())
}

/// A simulated server: says in HTTP who it is.
async fn answer<S>(container: &Value, pod: &str, port: u16, stream: &mut S) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut piece).await?;
        if read == 0 || head.len() > MAX_HEAD {
            return Ok(());
        }
        head.extend_from_slice(&piece[..read]);
    }
    let name = container["name"].as_str().unwrap_or_default();
    let body = format!("container {name} of pod {pod}, port {port}: simulated by towtank\n");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
