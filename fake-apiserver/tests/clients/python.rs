//! The official Python client.

use std::path::Path;

use crate::program::{Server, run};

#[test]
#[ignore = "needs Python 3 with the package kubernetes"]
fn the_python_client_works() {
    let server = Server::start();
    let mut command = server.command(Path::new("python3"));
    if let Some(home) = std::env::var_os("HOME") {
        // Packages may be installed for the user.
        command.env("HOME", home);
    }
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/python.py"));
    let ended = run(command, "");
    assert_eq!((ended.code, ended.out.lines().last()), (Some(0), Some("ok")), "{}{}", ended.out, ended.err);
}
