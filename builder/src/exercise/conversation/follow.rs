//! Redirects, to their end.

use url::Url;

use super::{
    Conversation,
    look::Content,
    send::{Sent, path_of},
};
use crate::exercise::{ExerciseError, Outcome, Record, Response, Target};

/// Redirects that are followed of one request: as many as browsers follow.
const REDIRECTS: usize = 20;

/// The end of redirects.
pub(super) struct End {
    pub response: Response,
    pub url: Url,
    pub content: Content,
}

impl Conversation<'_> {
    /// Follows redirects inside the app; nothing if there was none. The end must not be an error.
    pub(super) fn follow(
        &mut self,
        step: usize,
        what: &str,
        sent: &Sent,
        (first, url): (&Response, &Url),
        target: &mut dyn Target,
        problems: &mut Vec<String>,
    ) -> Result<Option<End>, ExerciseError> {
        if !matches!(&sent.method[..], "GET" | "HEAD" | "POST") {
            return Ok(None);
        }
        let mut sent = sent.clone();
        let mut end: Option<End> = None;
        let mut count = 0;
        loop {
            let (response, url) = end.as_ref().map_or((first, url), |end| (&end.response, &end.url));
            let Some(next) = redirect(response, url).filter(|next| self.is_here(next)) else { break };
            count += 1;
            if count > REDIRECTS {
                problems.push(format!("more than {REDIRECTS} redirects, the last one to {}", path_of(&next)));
                return Ok(end);
            }
            sent.path = path_of(&next);
            let keeps_method = matches!(response.status, 307 | 308);
            if !keeps_method && sent.method == "POST" {
                sent.method = "GET".to_owned();
                (sent.content_type, sent.body) = (None, Vec::new());
                sent.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("origin"));
            }
            let response = self.send(step, what, &sent, target)?;
            let what = format!("{} {} (redirected from step {step})", sent.method, sent.path);
            let content = self.look_at(&response, &next, Some(&sent.path), problems);
            self.transcript.beside.push(Record { step, what, outcome: Outcome::Responded(response.clone()) });
            end = Some(End { response, url: next, content });
        }
        if let Some(End { response, url, .. }) = &end
            && response.status >= 400
        {
            problems.push(format!("it leads to {}, which has status {}", path_of(url), response.status));
        }
        Ok(end)
    }
}

/// Returns where a response redirects to.
pub(in crate::exercise) fn redirect(response: &Response, url: &Url) -> Option<Url> {
    let location =
        response.header("location").filter(|_| matches!(response.status, 301 | 302 | 303 | 307 | 308))?;
    url.join(location.trim()).ok()
}
