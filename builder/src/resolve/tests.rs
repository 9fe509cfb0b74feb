//! What resolving answers, on archives of a few words.

use super::*;
