//! How quick the fake apiserver is, beside what the real one was recorded at. Prints Markdown.
//!
//! ```text
//! cargo bench -p benches --bench apiserver                  everything but the 100,000 pods
//! cargo bench -p benches --bench apiserver -- ready creates   some of it
//! cargo bench -p benches --bench apiserver -- scale 100000 0  pods of 100-pod Deployments on so many nodes
//! cargo bench -p benches --bench apiserver -- instructions    a create's instructions, under callgrind
//! ```

#![expect(clippy::print_stdout, reason = "a command line program")]

mod client;
mod creates;
mod hook;
mod instructions;
mod memory;
mod scale;
mod table;
mod world;

/// Objects are thousands of small maps and texts, made in one thread and let go in another: as in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whatever a bench can end with.
type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    // cargo bench adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["run", variant, creates] => return instructions::run(variant, creates.parse()?),
        ["instructions"] => return instructions::table(),
        ["scale", pods] => return scale::table(pods.parse()?, 0),
        ["scale", pods, nodes] => return scale::table(pods.parse()?, nodes.parse()?),
        _ => {}
    }
    let asked = |name: &str| words.is_empty() || words.contains(&name);
    if asked("ready") {
        creates::ready()?;
    }
    if asked("creates") {
        creates::creates()?;
    }
    if asked("memory") {
        memory::table()?;
    }
    Ok(())
}
