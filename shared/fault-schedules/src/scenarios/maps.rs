//! Records that pass through a function, with their answers gathered in order.

use serde_json::json;

use super::items;
use crate::{Checked, World, ensure, jobs};

pub(super) async fn run(world: &World) -> Checked {
    let all = 1 + world.below(60);
    let lines = |n: u64| format!("{{\"id\":{n},\"name\":\"record {n}\"}}\n");
    let content: String = (0..all).map(lines).collect();
    let (source, target) = (world.named("in/lines.jsonl"), world.named("out/lines.jsonl"));
    let parameters = json!({
        "input": { "files": items::put_object(world, &source, content.clone()).await?, "format": "jsonl" },
        "function": "upper",
        "output": items::object_name(world, &target),
        "batchBytes": 100 + world.below(500),
        "retries": 6,
    });
    let result = jobs::run(world, "map", parameters).await?;
    let there = items::objects(world, &target).await?.contains(&target);
    match result {
        Some(result) => {
            ensure!(result["records"] == all, "{all} records: {result}");
            let output = String::from_utf8_lossy(&items::object(world, &target).await?).into_owned();
            ensure!(output == content.to_uppercase(), "the output is not the input in capitals:\n{output}");
        }
        None if there => {
            let output = String::from_utf8_lossy(&items::object(world, &target).await?).into_owned();
            let capitals = content.to_uppercase();
            let wanted: Vec<&str> = capitals.lines().collect();
            let known = output.lines().all(|line| wanted.contains(&line));
            ensure!(known, "the output has a line that is no record's:\n{output}");
        }
        None => {}
    }
    Ok(())
}
