//! Logins: what a registry wants to see, and who gets to see it.
//!
//! A registry that wants a login says how (RFC 9110, section 11.6.1): `Basic`, or `Bearer` with the token
//! service to ask (docker's token authentication; OAuth 2 for identity tokens). A login or a token goes to the
//! origin that it is for, and in plain text to this machine only.

use std::{fmt, sync::PoisonError};

use reqwest::{Method, Url, header};

use super::{Call, Purpose, Registry, Reply};
use crate::{
    download::{Downloader, MirrorFault},
    formats::{auth_file::Login, base64, image_name::is_loopback},
    shown,
};

/// What requests to one origin carry.
#[derive(Clone)]
pub(in crate::download) struct Access {
    origin: url::Origin,
    value: String,
}

impl fmt::Debug for Access {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access to {}", self.origin.ascii_serialization())
    }
}

impl Access {
    /// Returns what requests to the origin of a URL carry: nothing if it has none.
    pub(in crate::download) fn to(url: &str, value: &str) -> Option<Self> {
        let origin = Url::parse(url).ok()?.origin();
        Some(Access { origin, value: value.to_owned() })
    }
}

impl Downloader {
    /// Returns the header `Authorization` for a URL. Other origins than the one that it is for get none, so a
    /// redirection does not carry it away.
    pub(in crate::download) fn access_to(&self, url: &str) -> Option<String> {
        let access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        let access = access.as_ref()?;
        let origin = Url::parse(url).ok()?.origin();
        (origin == access.origin).then(|| access.value.clone())
    }
}

impl Registry {
    /// Does what a response of status 401 wants, once.
    pub(super) fn log_in(&self, refused: &Reply) -> Result<(), MirrorFault> {
        let challenges = refused.headers.get_all(header::WWW_AUTHENTICATE).iter();
        let challenges: Vec<(String, Vec<(String, String)>)> =
            challenges.filter_map(|value| challenge(value.to_str().ok()?)).collect();
        let value = if let Some((_, parameters)) = challenges.iter().find(|(scheme, _)| scheme == "bearer") {
            format!("Bearer {}", self.token(parameters)?)
        } else if challenges.iter().any(|(scheme, _)| scheme == "basic") {
            basic(&self.login).ok_or_else(|| self.fault_of(refused))?
        } else {
            return Err(self.fault_of(refused));
        };
        let origin = Url::parse(&self.base).map_err(|_| MirrorFault::Url)?.origin();
        *self.downloader.access.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Access { origin, value });
        Ok(())
    }

    /// Fetches a token for this repository from the service that the registry names.
    fn token(&self, parameters: &[(String, String)]) -> Result<String, MirrorFault> {
        let refuse = |text: String| MirrorFault::Refused(text.into());
        let parameter =
            |name: &str| parameters.iter().find(|(own, _)| own == name).map(|(_, value)| &value[..]);
        let realm = parameter("realm").unwrap_or_default();
        let mut url = Url::parse(realm).map_err(|_| refuse("the registry names no token service".into()))?;
        // Only a registry of this machine may have a service here that is not encrypted.
        let is_here =
            url.host().is_some_and(|host| is_loopback(&host.to_owned())) && self.image.is_of_loopback();
        let is_closed = url.scheme() == "https" || url.scheme() == "http" && is_here;
        if !is_closed || !url.username().is_empty() {
            let realm = crate::download::without_password(realm);
            let realm = shown::path(&realm);
            return Err(refuse(format!("the registry names a token service without TLS: {realm}")));
        }
        let actions = if self.purpose == Purpose::Push { "pull,push" } else { "pull" };
        let scope = format!("repository:{}:{actions}", self.image.name);
        let service = parameter("service").unwrap_or_default();
        let reply = if let Login::Identity(token) = &self.login {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token").append_pair("service", service);
            form.append_pair("client_id", "tinyroot").append_pair("scope", &scope);
            let body = Some(form.append_pair("refresh_token", token).finish().into_bytes());
            let kind = (header::CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned());
            let call = Call { headers: vec![kind], body, ..Call::new(Method::POST, url.as_str()) };
            self.downloader.call(&call, None)?
        } else {
            url.query_pairs_mut().append_pair("service", service).append_pair("scope", &scope);
            self.downloader.call(&Call::new(Method::GET, url.as_str()), basic(&self.login).as_deref())?
        };
        let reply = self.expect(reply, &[200])?;
        let document: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let token = ["token", "access_token"].into_iter().find_map(|field| document[field].as_str());
        let is_token = |token: &&str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let token =
            token.filter(is_token).ok_or_else(|| refuse("the token service sends no token".into()))?;
        Ok(token.to_owned())
    }
}

/// Returns the header for a name and a password.
fn basic(login: &Login) -> Option<String> {
    let Login::Password { user, password } = login else { return None };
    Some(format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes())))
}

/// Reads a challenge: its scheme and its parameters, names in lower case.
pub(super) fn challenge(text: &str) -> Option<(String, Vec<(String, String)>)> {
    let (scheme, mut rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let mut parameters = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',', '\t']);
        if rest.is_empty() {
            return Some((scheme.to_ascii_lowercase(), parameters));
        }
        let (name, value) = rest.split_once('=')?;
        let (value, after) = match value.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = value.find(',').unwrap_or(value.len());
                (value[..end].trim().to_owned(), &value[end..])
            }
        };
        parameters.push((name.trim().to_ascii_lowercase(), value));
        rest = after;
    }
}

/// Reads a quoted text up to its end; returns it and what is behind it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    loop {
        match chars.next()? {
            (at, '"') => return Some((out, &text[at + 1..])),
            (_, '\\') => out.push(chars.next()?.1),
            (_, c) => out.push(c),
        }
    }
}
