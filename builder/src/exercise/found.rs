//! An address on a page, in a style sheet or in a script, and what it is for.

/// The use of an address for a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Want {
    /// A script.
    Script,
    /// A script that imports others.
    Module,
    /// A style sheet.
    Style,
    /// An image or an icon.
    Image,
    /// A document in a frame.
    Frame,
    /// A font, a film, a manifest, or what a page loads ahead.
    Other,
}

/// The purpose of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Loaded with the page.
    Load(Want),
    /// Contacted ahead (`dns-prefetch`, `preconnect`).
    Contact,
    /// Led to by a click.
    Link,
    /// Where a form is sent.
    Form,
    /// The base of all other addresses.
    Base,
    /// Led to by itself (`<meta http-equiv=refresh>`).
    Refresh,
}

/// An address on a page or in a style sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// As it stands there, entities decoded.
    pub address: String,
    /// Its purpose.
    pub role: Role,
    /// Its line, from 1.
    pub line: usize,
    /// The element and its attribute (`<script src>`), or `url()` of a style.
    pub element: String,
    /// Whether a browser with scripts passes it over (inside of `<template>`; `<noscript>` is text to it).
    pub is_idle: bool,
}
