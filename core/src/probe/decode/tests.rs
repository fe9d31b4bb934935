#![allow(clippy::expect_used)]
use super::*;

/// The frames of `chunks`, one stream, as (event, data).
fn frames(framing: Framing, chunks: &[&[u8]]) -> Result<Vec<(String, String)>, DecodeError> {
    let mut decoder = Decoder::new(framing);
    let mut frames = Vec::new();
    let mut keep = |frame: Frame<'_>| {
        frames.push((
            String::from_utf8_lossy(frame.event).into_owned(),
            String::from_utf8_lossy(frame.data).into_owned(),
        ));
    };
    for chunk in chunks {
        decoder.push(chunk, &mut keep)?;
    }
    decoder.finish(&mut keep)?;
    Ok(frames)
}

fn data(framing: Framing, chunks: &[&[u8]]) -> Vec<String> {
    frames(framing, chunks).expect("within the limits").into_iter().map(|(_, data)| data).collect()
}

#[test]
fn events_end_at_an_empty_line_whatever_ends_a_line() {
    for stream in [
        "data: a\n\ndata: b\n\n",
        "data: a\r\n\r\ndata: b\r\n\r\n",
        "data: a\r\rdata: b\r\r",
        "data:a\n\r\ndata:b\r\n\n",
    ] {
        assert_eq!(data(Framing::Sse, &[stream.as_bytes()]), ["a", "b"], "{stream:?}");
    }
}

#[test]
fn lines_of_data_are_joined_and_all_else_is_passed_over() {
    let stream = ": keep-alive\nid: 7\nretry: 1\nevent: ping\ndata: {\ndata:  \"a\": 1\ndata\ndata: }\nunknown\n\n:\n\nevent: x\n\n";
    let expected = [("ping".to_owned(), "{\n \"a\": 1\n\n}".to_owned())];
    assert_eq!(frames(Framing::Sse, &[stream.as_bytes()]).expect("decoded"), expected);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line_only() {
    assert_eq!(data(Framing::Sse, &[b"\xEF\xBB\xBFdata: a\n\n"]), ["a"]);
    assert_eq!(data(Framing::Sse, &[b"\xEF", b"\xBB\xBFda", b"ta: a\n\n"]), ["a"]);
    assert!(data(Framing::Sse, &[b"\n\xEF\xBB\xBFdata: a\n\n"]).is_empty());
    assert_eq!(data(Framing::Ndjson, &[b"\xEF\xBB\xBF{}\n"]), ["{}"]);
}

#[test]
fn a_stream_that_ends_early_hands_over_its_last_event() {
    assert_eq!(data(Framing::Sse, &[b"data: a\n\ndata: [DONE]"]), ["a", "[DONE]"]);
    assert_eq!(data(Framing::Ndjson, &[b"{}\r\n\r\n  \n{\"a\":1}"]), ["{}", "{\"a\":1}"]);
}

#[test]
fn any_split_of_a_stream_gives_the_same_frames() {
    let sse = "\u{FEFF}: hi\r\nevent: a\r\ndata: é€😀\r\n\r\ndata: 1\ndata: 2\n\ndata: 3\r\rdata: tail";
    let ndjson = "\u{FEFF}{\"text\":\"é€😀\"}\r\n\n{\"a\":1}\n{\"b\":2}";
    for (framing, stream) in [(Framing::Sse, sse.as_bytes()), (Framing::Ndjson, ndjson.as_bytes())] {
        let whole = frames(framing, &[stream]).expect("decoded");
        assert!(whole.len() >= 3);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(frames(framing, &bytes).expect("decoded"), whole);
        for first in 0..stream.len() {
            for second in first..stream.len() {
                let split = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(frames(framing, &split).expect("decoded"), whole, "{first}, {second}");
            }
        }
    }
}

#[test]
fn a_hostile_stream_meets_a_limit() {
    let mebibyte = vec![b'a'; MAX_LINE_BYTES];
    for framing in [Framing::Sse, Framing::Ndjson] {
        assert_eq!(frames(framing, &[&mebibyte, b"a"]), Err(DecodeError::LineTooLong));
        let line = [&mebibyte[..], b"a\n"].concat();
        assert_eq!(frames(framing, &[&line]), Err(DecodeError::LineTooLong));
        let line = [&mebibyte[..MAX_LINE_BYTES - 1], b"\n"].concat();
        assert_eq!(frames(framing, &[&line[..]; 17]), Err(DecodeError::StreamTooLong));
    }
    let many_lines = [b"data: ", &mebibyte[..500_000], b"\n"].concat();
    assert_eq!(frames(Framing::Sse, &[&many_lines[..]; 3]), Err(DecodeError::LineTooLong));
    let many_events = b"data:1\n\n".repeat(MAX_FRAMES as usize + 1);
    assert_eq!(frames(Framing::Sse, &[&many_events]), Err(DecodeError::TooManyFrames));
}

#[test]
fn noise_never_panics() {
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..2_000 {
        let alphabet = b"data:event \r\n\xEF\xBB\xBF{}\"\xFF";
        let noise: Vec<u8> = (0..random.usize(..80)).map(|_| alphabet[random.usize(..alphabet.len())]).collect();
        let whole = frames(Framing::Sse, &[&noise]);
        let cut = random.usize(..=noise.len());
        assert_eq!(frames(Framing::Sse, &[&noise[..cut], &noise[cut..]]), whole, "{noise:?} at {cut}");
    }
}
