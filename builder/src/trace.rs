//! Runs the exercise over the view and gathers what was used.

mod used_list;

pub use used_list::{UsedLine, UsedList, UsedListError};
