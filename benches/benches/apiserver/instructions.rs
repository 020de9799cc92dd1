//! Instructions of a create, by running many of them under callgrind. The difference between two numbers of creates leaves
//! out everything that is done once.

use std::process::Command;
use std::sync::Arc;

use crate::Outcome;
use crate::client::Client;
use crate::creates::create;
use crate::table::{Table, thousands};
use crate::world::{Wire, cluster, pod};

/// What is counted, with the number of webhooks and how they are reached.
const VARIANTS: [(&str, usize); 3] = [("no-webhook", 0), ("1-webhook", 1), ("5-webhooks", 5)];
const FEW: u64 = 50;
const MANY: u64 = 250;

/// So many creates in one thread, to be run under callgrind.
pub(crate) fn run(variant: &str, creates: u64) -> Outcome {
    let (_, hooks) = VARIANTS.into_iter().find(|(name, _)| *name == variant).ok_or("no such variant")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = cluster(Wire::Memory, hooks).await?;
        let mut client = Client::InProcess(Arc::clone(&cluster));
        let body = pod();
        create(&mut client, &body, hooks).await?;
        for _ in 0..creates {
            let (status, _) = client.post(crate::world::PODS, body.clone()).await.map_err(|error| error.to_string())?;
            if status != 201 {
                return Err(format!("HTTP {status}").into());
            }
        }
        Ok(())
    })
}

fn count(variant: &str, creates: u64) -> Result<u64, Box<dyn std::error::Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["run", variant, &creates.to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    collected.filter(|_| output.status.success()).ok_or_else(|| format!("valgrind counted nothing:\n{text}").into())
}

/// Every variant.
pub(crate) fn table() -> Outcome {
    let table = Table::new("Instructions of a create", &["variant", "instructions"]);
    for (variant, _) in VARIANTS {
        let each = (count(variant, MANY)? - count(variant, FEW)?) / (MANY - FEW);
        table.row(&[variant.to_owned(), thousands(each)]);
    }
    Ok(())
}
