use super::*;

/// A fixed-seed generator (SplitMix64): hostile inputs that are the same on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn sample() -> Value {
    let element =
        |n: u64| (vec![n], vec![Value::text(&format!("element {n}")), Value::Data(vec![n as u8; 9])]);
    Value::Struct {
        data: vec![7, 8],
        pointers: vec![
            Value::StructList { data_words: 1, pointer_words: 2, elements: (0..3).map(element).collect() },
            Value::PointerList(vec![Value::text("a"), Value::Null, Value::text("longer than a word")]),
            Value::Struct { data: vec![], pointers: vec![] },
        ],
    }
}

/// Looks at all that a message seems to hold, whatever its schema, and returns how much there was.
fn walk(at: &Struct<'_>, left: &mut u32) {
    for index in 0..4 {
        *left = left.saturating_sub(1);
        if *left == 0 {
            return;
        }
        let _ = (at.u16(2 * u32::from(index)), at.u32(8), at.u64(0), at.text(index), at.data(index));
        if let Ok(Some(inner)) = at.structure(index) {
            walk(&inner, left);
        }
        if let Ok(list) = at.list(index) {
            for inner in list.iter().take(8) {
                walk(&inner, left);
            }
        }
    }
}

#[test]
fn reads_what_it_writes() {
    let bytes = message_bytes(&sample());
    assert_eq!(bytes, message_bytes(&sample()));
    let source = &bytes[..];
    let message = Message::new(&source, 0, None).expect("a message");
    assert_eq!(message.end(), bytes.len() as u64);
    let root = message.root().expect("a root");
    assert_eq!(
        (root.u64(0).expect("reads"), root.u32(8).expect("reads"), root.u64(16).expect("absent")),
        (7, 8, 0)
    );
    let list = root.list(0).expect("a list");
    let texts: Vec<_> = list.iter().map(|e| e.string(0).expect("a text")).collect();
    assert_eq!(texts, ["element 0", "element 1", "element 2"]);
    let texts: Vec<_> = root.list(1).expect("a list").iter().map(|e| e.string(0).expect("a text")).collect();
    assert_eq!(texts, ["a", "", "longer than a word"]);
    assert!(root.structure(2).expect("an empty struct").is_some());
    assert!(root.structure(3).expect("absent").is_none());
}

#[test]
fn ranked_contents_come_last() {
    let content = |id, size_bytes, rank| Value::Content { id, size_bytes, rank };
    let root = Value::Struct {
        data: vec![],
        pointers: vec![content(0, 3, 2), content(1, 8, 0), content(2, 0, 1), content(3, 9, 1)],
    };
    let written = write(&root);
    let mut bytes = Vec::new();
    let mut order = Vec::new();
    for piece in &written.pieces {
        match piece {
            Piece::Bytes(part) => bytes.extend(part),
            Piece::Content { id, size_bytes, .. } => {
                order.push(*id);
                bytes.extend(vec![b'0' + *id as u8; *size_bytes as usize]);
            }
        }
    }
    assert_eq!(order, [1, 2, 3, 0]);
    assert_eq!(bytes.len() as u64, written.size_bytes);
    let source = &bytes[..];
    let message = Message::new(&source, 0, None).expect("a message");
    let root = message.root().expect("a root");
    let read = |index| message.read(root.data(index).expect("bytes").expect("there")).expect("reads");
    assert_eq!(
        (read(0), read(1), read(2), read(3)),
        (b"000".to_vec(), b"11111111".to_vec(), vec![], b"333333333".to_vec())
    );
}

#[test]
fn follows_far_pointers_between_segments() {
    // Segment 0: the root, far. Segment 1: its pad and struct; a double-far text. Segment 2 is empty.
    // Segment 3: the pad of the text. Segment 4: the text.
    let message = words(&[
        4 | 1 << 32,
        3,
        2 | 1 << 32,
        2 | 1 << 32,           // segment 0: far to segment 1, word 0
        1 << 48,               // segment 1: pad: struct of one pointer, right after
        2 | 4 | 3 << 32,       //   double-far to segment 3, word 0
        0,                     //   unused
        2 | 4 << 32,           // segment 3: the content is at segment 4, word 0
        1 | 2 << 32 | 3 << 35, //   a list of three bytes
        u64::from_le_bytes(*b"hi\0\0\0\0\0\0"),
    ]);
    let source = &message[..];
    let message = Message::new(&source, 0, None).expect("a message");
    assert_eq!(message.root().expect("a root").text(0).expect("a text"), Some(b"hi".to_vec()));
}

#[test]
fn refuses_pointers_that_lead_astray() {
    let kind = |root: u64, rest: &[u64]| {
        let mut all = vec![(rest.len() as u64 + 1) << 32, root];
        all.extend(rest);
        let bytes = words(&all);
        let source = &bytes[..];
        let message = Message::new(&source, 0, None).expect("a message");
        let result = message.root().and_then(|root| root.text(0)).map(drop);
        result.map_or_else(|e| e.to_string(), |()| "fine".into())
    };
    let one_pointer = 1_u64 << 48;
    let out = "a pointer points out of its segment";
    let rows: [(&str, u64, &[u64], &str); 12] = [
        ("a struct past the end", one_pointer, &[], out),
        ("a struct before the start", one_pointer | u64::from((-12_i32) as u32), &[0], out),
        ("a far pointer to no segment", 2 | 9 << 32, &[0], out),
        ("a far pointer past the end", 2 | 80 << 3, &[0], out),
        ("a far pointer to a far pointer", 2 | 1 << 3, &[2], "a pointer is not a landing pad"),
        (
            "a pad whose first word is not a far pointer",
            2 | 4 | 1 << 3,
            &[0, 0],
            "a pointer is not a landing pad",
        ),
        ("a capability", 3, &[0], "a pointer is not a struct"),
        ("a list past the end", one_pointer, &[1 | 2 << 32 | 100 << 35], out),
        ("a struct for a text", one_pointer, &[1 << 48, 0], "a pointer is not a list"),
        ("words for a text", one_pointer, &[1 | 5 << 32 | 1 << 35, 0], "a pointer is not a list of bytes"),
        ("a text without NUL", one_pointer, &[1 | 2 << 32 | 1 << 35, 65], "a text does not end in NUL"),
        ("a text of no bytes", one_pointer, &[1 | 2 << 32, 0], "a text does not end in NUL"),
    ];
    for (summary, root, rest, expected) in rows {
        assert_eq!(kind(root, rest), expected, "{summary}");
    }
}

#[test]
fn counts_what_is_looked_at_once() {
    // Two pointers to one text of two words, in a message of six words.
    let bytes = words(&[5 << 32, 2 << 48, 1 | 1 << 2 | 2 << 32 | 16 << 35, 1 | 2 << 32 | 16 << 35, 0, 0]);
    let source = &bytes[..];
    let message = Message::new(&source, 0, Some(5)).expect("a message");
    let root = message.root().expect("a root");
    assert!(root.data(0).expect("first").is_some());
    assert!(matches!(root.data(1), Err(CapnpError::Budget)));
    // Elements without a size are not free either.
    let bytes = words(&[3 << 32, 1 << 48, 1 | 7 << 32, (1 << 29) << 2]);
    let source = &bytes[..];
    let message = Message::new(&source, 0, None).expect("a message");
    assert!(matches!(message.root().expect("a root").list(0), Err(CapnpError::Budget)));
}

#[test]
fn a_chain_of_structs_ends() {
    // A struct whose one pointer is itself.
    let bytes = words(&[2 << 32, 1 << 48, (1 << 48) | 0xffff_fffc]);
    let source = &bytes[..];
    let message = Message::new(&source, 0, Some(1 << 40)).expect("a message");
    let mut at = message.root().expect("a root");
    let error = loop {
        match at.structure(0) {
            Ok(Some(next)) => at = next,
            Ok(None) => panic!("never null"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CapnpError::Nesting));
}

#[test]
fn hostile_messages_never_do_more_than_fail() {
    let good = message_bytes(&sample());
    let mut random = Random(1);
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
        }
        bytes.truncate(1 + random.below(bytes.len() as u64 * 2) as usize);
        let source = &bytes[..];
        if let Ok(message) = Message::new(&source, 0, None) {
            let _ = message.root().map(|root| walk(&root, &mut 500));
        }
    }
    for _ in 0..20_000 {
        let count = 1 + random.below(6);
        let mut all = vec![count << 32];
        for _ in 0..count {
            let small =
                random.below(1 << 6) | random.below(8) << 32 | random.below(4) << 35 | random.below(4) << 48;
            all.push(if random.below(4) == 0 { random.next() } else { small });
        }
        let bytes = words(&all);
        let source = &bytes[..];
        if let Ok(message) = Message::new(&source, 0, None) {
            let _ = message.root().map(|root| walk(&root, &mut 500));
        }
    }
}
