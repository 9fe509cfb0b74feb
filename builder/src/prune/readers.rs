//! The readers of files in roots, as functions that take anything
//! ([`testing::readers`](crate::testing::READERS)).

pub(crate) use super::rules::readers::{jar, node, perl, php, python, ruby, secrets};
