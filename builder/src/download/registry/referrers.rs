//! What refers to an image: the part of the OCI distribution specification 1.1 about referrers.
//!
//! A registry that knows them lists them itself. For one that does not, as Debian's, the list is an index
//! under the tag `sha256-DIGEST`, which those who push keep ("Referrers Tag Schema"). Two may change it at the
//! same time; so it is read again after it was written, and written again until all is in it, with `If-Match`
//! where the registry gives an ETag.

use std::collections::BTreeSet;

use reqwest::{Method, Url, header};
use serde_json::{Value, json};

use super::{Call, Registry, RegistryError, Reply};
use crate::{
    digest::Digest,
    download::{MirrorFault, Trouble},
};

const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// How often a list is written that others change at the same time.
const MOST_WRITES: usize = 8;

/// More pages of a list are not read.
const MOST_PAGES: usize = 16;

/// A part of a list.
struct Page {
    descriptors: Vec<Value>,
    /// The URL of the next part.
    next: Option<String>,
}

impl Registry {
    /// Returns the descriptors of the manifests that refer to an image, as the registry has them.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn referrers(&self, image: &Digest) -> Result<Vec<Value>, RegistryError> {
        let mut url = format!("{}/referrers/sha256:{image}", self.base);
        let (mut found, mut digests) = (Vec::new(), BTreeSet::new());
        let mut urls = BTreeSet::from([url.clone()]);
        for page in 0..MOST_PAGES {
            let Some(page) = self.list(&url, page == 0)? else {
                return Ok(self.tagged(image)?.map(|(list, _)| list).unwrap_or_default());
            };
            let is_new = |one: &Value| digests.insert(one["digest"].to_string());
            found.extend(page.descriptors.into_iter().filter(is_new));
            match page.next {
                Some(next) if urls.insert(next.clone()) => url = next,
                // The last page, or one that leads back.
                _ => break,
            }
        }
        Ok(found)
    }

    /// Returns a page of a list, and the URL of the next one; `None` if the registry knows no such lists.
    fn list(&self, url: &str, may_lack: bool) -> Result<Option<Page>, RegistryError> {
        self.attempts("list", &format!("what refers to {}", self.image), url, |url| {
            let accept = (header::ACCEPT, INDEX_TYPE.to_owned());
            let reply = self.exchange(&Call { headers: vec![accept], ..Call::new(Method::GET, url) })?;
            if may_lack && matches!(reply.status, 404 | 405) {
                return Ok(None);
            }
            let reply = self.expect(reply, &[200])?;
            let next = next_of(&reply).filter(|next| self.is_own(next)).map(String::from);
            Ok(Some(Page { descriptors: manifests(&reply)?, next }))
        })
    }

    /// Returns the list that is kept under a tag, and its ETag.
    fn tagged(&self, image: &Digest) -> Result<Option<(Vec<Value>, String)>, RegistryError> {
        let url = self.tag_url(image);
        self.attempts("list", &format!("what refers to {}", self.image), &url, |url| {
            let accept = (header::ACCEPT, INDEX_TYPE.to_owned());
            let reply = self.exchange(&Call { headers: vec![accept], ..Call::new(Method::GET, url) })?;
            if reply.status == 404 {
                return Ok(None);
            }
            let reply = self.expect(reply, &[200])?;
            reply.hold_to_digest(None)?;
            Ok(Some((manifests(&reply)?, reply.header("etag"))))
        })
    }

    fn tag_url(&self, image: &Digest) -> String {
        format!("{}/manifests/sha256-{image}", self.base)
    }

    /// Adds descriptors to the list that is kept under a tag. It then has all of them, and what others put there.
    ///
    /// # Errors
    /// [`RegistryError`], also where others change the list all the time.
    pub fn tag_referrers(&self, image: &Digest, descriptors: &[Value]) -> Result<(), RegistryError> {
        let url = self.tag_url(image);
        for _ in 0..MOST_WRITES {
            let before = self.tagged(image)?;
            let (mut list, etag) = before.clone().unwrap_or_default();
            let new = descriptors.iter().filter(|one| !list.iter().any(|two| two["digest"] == one["digest"]));
            let new: Vec<Value> = new.cloned().collect();
            if new.is_empty() {
                return Ok(());
            }
            list.extend(new);
            let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": list });
            let condition = match (before.is_some(), etag.is_empty()) {
                (true, false) => Some((header::IF_MATCH, etag)),
                _ => None,
            };
            self.put_list(&url, condition, index.to_string().into_bytes())?;
        }
        let fault = MirrorFault::Refused("others change the list at the same time, again and again".into());
        let what = format!("what refers to {}", self.image);
        Err(RegistryError::Call { operation: "list", what, url, fault: Box::new(fault) })
    }

    /// Writes a list, unless it was changed meanwhile.
    fn put_list(
        &self,
        url: &str,
        condition: Option<(header::HeaderName, String)>,
        bytes: Vec<u8>,
    ) -> Result<(), RegistryError> {
        self.attempts("push", &format!("the list of what refers to {}", self.image), url, |url| {
            let mut headers = vec![(header::CONTENT_TYPE, INDEX_TYPE.to_owned())];
            headers.extend(condition.clone());
            let call = Call { headers, body: Some(bytes.clone()), ..Call::new(Method::PUT, url) };
            let reply = self.exchange(&call)?;
            // The next reading says what is there.
            if reply.status == 412 {
                return Ok(());
            }
            self.expect(reply, &[200, 201, 202]).map(drop).map_err(Trouble::from)
        })
    }
}

/// Reads the descriptors of an index.
fn manifests(reply: &Reply) -> Result<Vec<Value>, MirrorFault> {
    let index: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let manifests = index["manifests"].as_array().cloned();
    manifests.ok_or_else(|| MirrorFault::Refused("what the registry sends is not a list of manifests".into()))
}

/// Returns where the next page is, by the header `Link`.
fn next_of(reply: &Reply) -> Option<Url> {
    let link = reply.header("link");
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| reply.url.join(target).ok())?
}
