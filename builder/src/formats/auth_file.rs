//! Logins to registries, in the file that podman, skopeo and docker share.
//!
//! ```text
//! {"auths": {"HOST[/PATH]": {"auth": BASE64("USER:PASSWORD"), "identitytoken": TEXT}},
//!  "credHelpers": {"HOST": NAME}, "credsStore": NAME}
//! ```
//!
//! The longest path that the repository begins with counts. Docker writes some hosts as URLs. Helpers are
//! programs; none is run. (containers-auth.json(5), docker's config.json.)

use std::fmt;

use serde_json::Value;

use super::{base64, image_name::ImageName};

/// How one logs in to a registry.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Login {
    /// Not at all.
    #[default]
    None,
    /// By a name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// By a token that the registry's token service changes for another.
    Identity(String),
    /// By a program, which is not run.
    Helper(String),
}

impl fmt::Debug for Login {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Login::None => "None",
            Login::Password { .. } => "Password(…)",
            Login::Identity(_) => "Identity(…)",
            Login::Helper(_) => "Helper",
        })
    }
}

/// A file that is not as such files are.
#[derive(Debug, thiserror::Error)]
pub enum AuthFileError {
    /// Not JSON.
    #[error("it is not JSON")]
    Json(#[source] serde_json::Error),
    /// A login that is damaged.
    #[error("its login for {0} is not base64 of a name, a colon and a password")]
    Login(String),
}

/// Returns the login of a file for a repository; [`Login::None`] if it has none.
///
/// # Errors
/// [`AuthFileError`].
pub fn login(file: &[u8], image: &ImageName) -> Result<Login, AuthFileError> {
    let file: Value = serde_json::from_slice(file).map_err(AuthFileError::Json)?;
    let helper =
        |value: &Value| value.as_str().filter(|name| !name.is_empty()).map(|name| Login::Helper(name.into()));
    if let Some(helper) = helper(&file["credHelpers"][&image.host]) {
        return Ok(helper);
    }
    let path = format!("{}/{}", image.host, image.name);
    let mut own: Vec<(&String, &Value)> = file["auths"].as_object().into_iter().flatten().collect();
    own.retain(|(key, _)| {
        path == bare(key) || path.strip_prefix(bare(key)).is_some_and(|rest| rest.starts_with('/'))
    });
    own.sort_by_key(|(key, _)| std::cmp::Reverse(bare(key).len()));
    for (key, entry) in own {
        let damaged = || AuthFileError::Login(key.clone());
        if let Some(token) = entry["identitytoken"].as_str().filter(|token| !token.is_empty()) {
            return Ok(Login::Identity(token.into()));
        }
        let Some(auth) = entry["auth"].as_str().filter(|auth| !auth.is_empty()) else { continue };
        let text =
            base64::decode(auth).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(damaged)?;
        let (user, password) = text.split_once(':').ok_or_else(damaged)?;
        // Docker of old padded passwords with zeros.
        return Ok(Login::Password { user: user.into(), password: password.trim_matches('\0').into() });
    }
    Ok(helper(&file["credsStore"]).unwrap_or_default())
}

/// Returns a key without what makes it a URL.
fn bare(key: &str) -> &str {
    let Some(rest) = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")) else {
        return key.trim_end_matches('/');
    };
    // Docker Hub's, as docker has written it ever since.
    let host = rest.split('/').next().unwrap_or_default();
    if host == "index.docker.io" { "docker.io" } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"auths": {
        "host.example": {"auth": "YTpi"},
        "host.example/team": {"auth": "YzpkOmU="},
        "https://index.docker.io/v1/": {"identitytoken": "t"},
        "broken.example": {"auth": "YQ=="},
        "stored.example": {}
    }, "credHelpers": {"helped.example": "pass"}, "credsStore": "desktop"}"#;

    #[test]
    fn the_longest_path_counts() {
        let password =
            |user: &str, password: &str| Login::Password { user: user.into(), password: password.into() };
        for (image, expected) in [
            ("host.example/x", password("a", "b")),
            ("host.example/teams", password("a", "b")),
            ("host.example/team/x", password("c", "d:e")),
            ("docker.io/library/debian", Login::Identity("t".into())),
            ("helped.example/x", Login::Helper("pass".into())),
            ("stored.example/x", Login::Helper("desktop".into())),
            ("host.example.org/x", Login::Helper("desktop".into())),
        ] {
            let image = ImageName::read(image).expect("is a name");
            assert_eq!(login(FILE.as_bytes(), &image).expect("reads"), expected, "{image}");
        }
    }

    #[test]
    fn a_damaged_login_is_named() {
        let image = ImageName::read("broken.example/x").expect("is a name");
        let error = login(FILE.as_bytes(), &image).expect_err("is damaged").to_string();
        assert!(error.contains("broken.example"), "{error}");
        assert!(!format!("{:?}", Login::Identity("secret".into())).contains("secret"));
    }
}
