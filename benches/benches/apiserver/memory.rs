//! Memory per stored pod: how much the process grows.

use std::sync::Arc;

use crate::Outcome;
use crate::client::Client;
use crate::creates::create;
use crate::table::{Table, thousands};
use crate::world::{PODS, Wire, cluster, pod};

const PODS_STORED: u64 = 20_000;

/// Resident bytes of this process.
pub(crate) fn resident() -> Result<u64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).ok_or("statm")?.parse()?;
    Ok(pages * 4096)
}

/// What the process has had of the machine's processors, user and system together; in hundredths of a second.
pub(crate) fn processor() -> Result<std::time::Duration, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name in parentheses, which may hold blanks.
    let (_, fields) = text.rsplit_once(')').ok_or("stat")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || -> Result<u64, Box<dyn std::error::Error>> { Ok(fields.next().ok_or("stat")?.parse()?) };
    Ok(std::time::Duration::from_millis((ticks()? + ticks()?) * 10))
}

/// Stores pods, looks at the process before and after.
pub(crate) fn table() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (before, after, body) = runtime.block_on(async {
        let cluster = cluster(Wire::Memory, 0).await?;
        let mut client = Client::InProcess(Arc::clone(&cluster));
        let body = pod();
        // The history of events is full, and what is allocated once is.
        for _ in 0..5000 {
            create(&mut client, &body, 0).await?;
        }
        let before = resident()?;
        for _ in 0..PODS_STORED {
            let (status, _) = client.post(PODS, body.clone()).await.map_err(|error| error.to_string())?;
            if status != 201 {
                return Err("a create failed".into());
            }
        }
        let after = resident()?;
        let (_, stored) = client.post(PODS, body).await.map_err(|error| error.to_string())?;
        Ok::<_, Box<dyn std::error::Error>>((before, after, stored))
    })?;
    let per_pod = after.saturating_sub(before) / PODS_STORED;
    let json = body.len() as u64;
    let table = Table::new("Memory", &["bytes per stored pod", "bytes of its JSON", "ratio"]);
    let ratio = per_pod as f64 / json as f64;
    table.row(&[thousands(per_pod), thousands(json), format!("{ratio:.1}")]);
    Ok(())
}
