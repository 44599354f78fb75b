//! Into how many segments a table is cut.

use nextbasket_job_engine::{Assign, BatchPlan, Refusal, StagePlan};
use nextbasket_tables::segment::{Segment, Size};
use serde_json::json;

use crate::run_settings::RunSettings;

/// The table bytes per segment.
const SEGMENT_BYTES: u64 = 64 << 20;
/// The minimum, so that several workers have something to do.
const FEWEST: u32 = 8;
const MOST: u32 = 1_000;

/// As many segments as were asked for, or one for 64 MB of the table: 8 to 1,000.
pub(crate) fn segments(asked: Option<u32>, size: Size) -> u32 {
    let by_size = u32::try_from(size.bytes / SEGMENT_BYTES).unwrap_or(MOST);
    asked.unwrap_or_else(|| by_size.clamp(FEWEST, MOST))
}

/// Refuses a number of segments that DynamoDB does not know.
pub(crate) fn check(asked: Option<u32>) -> Result<(), Refusal> {
    match asked {
        Some(segments) if !(1..=1_000_000).contains(&segments) => {
            Err(Refusal::parameter("segments", "must be from 1 to 1000000"))
        }
        _ => Ok(()),
    }
}

/// A stage with a batch for each segment of the table.
pub(crate) fn stage(name: &str, table: &str, size: Size, settings: &RunSettings) -> StagePlan {
    let of = segments(settings.segments, size);
    let each = size.items / u64::from(of.max(1));
    let batches = (0..of)
        .map(|number| BatchPlan {
            weight: each,
            of: (size.items > 0).then_some(each),
            ..BatchPlan::new(json!(Segment { number, of }))
        })
        .collect();
    let split = json!({ "by": "size", "table": table, "segments": of });
    settings.apply(StagePlan { assign: Assign::Random, ..StagePlan::new(name, split, batches) })
}
