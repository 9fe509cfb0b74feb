//! The readers of a sandbox's output, as functions that take anything
//! ([`testing::readers`](crate::testing::READERS)).

use super::protocol::{Order, Report, Task};

/// A message between us and the monitor.
pub(crate) fn messages(bytes: &[u8]) {
    if let Ok(report) = serde_json::from_slice::<Report>(bytes) {
        let text = serde_json::to_vec(&report).expect("messages have only string keys");
        assert!(serde_json::from_slice::<Report>(&text).is_ok());
    }
    let _ = (serde_json::from_slice::<Order>(bytes), serde_json::from_slice::<Task>(bytes));
    crate::view::readers::request(bytes);
    crate::grain::readers::log(bytes);
}
