//! A recording in the order of time: requests that are steps, streams that are opened, and their messages.

use super::{
    Exchange,
    choose::{Kept, Kind},
    messages, sent,
};

/// A request, the opening of a stream, or a message of one: what of the recording it is, what it sends, and what the app
/// says there.
pub struct Item<'a> {
    /// Which.
    pub part: Part,
    /// Why it is a step, or a part of one.
    pub kind: Kind,
    /// Values that are sent, with their names.
    pub sends: Vec<(String, String)>,
    /// What is captured of: the first response and the end of its redirects, or a message.
    pub said: Vec<Vec<u8>>,
    /// The app's authority.
    pub host: &'a str,
}

/// A part of a recording, by its numbers there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A request.
    Request(Kept),
    /// The opening of a stream: its exchange.
    Open(usize),
    /// A message: the exchange that opened its stream, and its number there.
    Message(usize, usize),
}

/// Returns the items of a recording. A note says what of a stream is no step.
pub fn items<'a>(exchanges: &'a [Exchange], kept: &[Kept], notes: &mut Vec<String>) -> Vec<Item<'a>> {
    let mut out: Vec<(u64, Item)> = Vec::new();
    let acts = kept.iter().filter(|one| !matches!(one.kind, Kind::Source | Kind::Data | Kind::Stream));
    let acts: Vec<u64> = acts.map(|one| exchanges[one.first].order).collect();
    let mut known = messages::Known::new();
    for one in kept {
        let exchange = &exchanges[one.first];
        let host = exchange.header("host").unwrap_or_default();
        if one.kind != Kind::Stream {
            let numbers = std::iter::once(one.first).chain(one.end);
            let said = numbers.map(|number| exchanges[number].response.full()).collect();
            let sends = sent::values(exchange);
            out.push((exchange.order, Item { part: Part::Request(*one), kind: one.kind, sends, said, host }));
            continue;
        }
        let Some(picked) = messages::choose(exchange, &acts, &mut known, notes) else { continue };
        let open = Item {
            part: Part::Open(one.first),
            kind: Kind::Stream,
            sends: sent::values(exchange),
            said: Vec::new(),
            host,
        };
        out.push((exchange.order, open));
        for messages::Picked { number, kind } in picked {
            let message = &exchange.messages[number];
            let (sends, said) = match message.is_from_app {
                true => (Vec::new(), vec![message.payload.clone()]),
                false if message.is_text => (sent::message_fields(&message.payload), Vec::new()),
                false => (Vec::new(), Vec::new()),
            };
            out.push((
                message.order,
                Item { part: Part::Message(one.first, number), kind, sends, said, host },
            ));
        }
    }
    out.sort_by_key(|(order, _)| *order);
    out.into_iter().map(|(_, item)| item).collect()
}
