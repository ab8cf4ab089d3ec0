use super::{super::Expiry, *};

impl Divide for () {
    fn front(&mut self, _: usize) -> Option<Self> {
        None
    }
}

/// Places of a stream are told apart by what is in it: a letter for each message.
fn slot(terms: Terms) -> Slot<(), ()> {
    Slot { seq: 0, count: 1, len: 9, payload: (), reply: Some(()), terms: Some(Box::new(terms)) }
}

fn told(fates: &mut Vec<Fate>) -> impl FnMut((), Fate) {
    |(), fate| fates.push(fate)
}

fn keyed(key: &str) -> Terms {
    Terms { key: Some(key.into()), ..Terms::default() }
}

#[test]
fn the_memory_of_a_burst_is_given_back() {
    let mut flight = Flight::<(), ()>::default();
    flight.reserve(1_000);
    assert!(flight.encoded.capacity() >= 1_000);
    for _ in 0..2 {
        flight.encoded(
            9,
            Slot { seq: 0, count: 1, len: 9, payload: (), reply: Some(()), terms: None },
        );
    }
    let mut fates = Vec::new();
    flight.handed_over(9, &mut told(&mut fates));
    assert!(flight.encoded.capacity() >= 1_000, "it is in use");
    flight.handed_over(9, &mut told(&mut fates));
    assert_eq!(fates, [Fate::Written; 2]);
    assert!(flight.encoded.capacity() <= RETAINED, "{}", flight.encoded.capacity());
}

#[test]
fn what_is_no_message_takes_its_place_in_the_stream() {
    let (mut flight, mut fates) = (Flight::default(), Vec::new());
    flight.encoded_other(6);
    flight.encoded(9, slot(keyed("a")));
    flight.handed_over(5, &mut told(&mut fates));
    assert_eq!(flight.replace("a", &mut told(&mut fates)), Some(1..10));
    assert_eq!(fates, [Fate::NotWritten(Loss::Newer)]);
}

#[test]
fn what_is_taken_out_moves_all_that_is_behind_it() {
    let (mut flight, mut fates) = (Flight::default(), Vec::new());
    flight.encoded(9, slot(keyed("a")));
    flight.encoded(10, slot(Terms { confirmed: true, ..keyed("b") }));
    flight.encoded_ping(14, 1);
    flight.encoded(11, slot(keyed("c")));
    assert_eq!(flight.replace("a", &mut told(&mut fates)), Some(0..9));
    assert_eq!(flight.replace("c", &mut told(&mut fates)), Some(24..35));
    flight.handed_over(23, &mut told(&mut fates));
    assert!(!flight.pong(1, &mut told(&mut fates)), "its last byte is not written");
    flight.handed_over(1, &mut told(&mut fates));
    assert!(flight.pong(1, &mut told(&mut fates)));
    let newer = Fate::NotWritten(Loss::Newer);
    assert_eq!(fates, [newer, newer, Fate::Confirmed]);
    assert!(flight.rare.is_none(), "nothing is left of it");
}

#[test]
fn what_is_replaced_wants_no_confirmation() {
    let (mut flight, mut fates) = (Flight::default(), Vec::new());
    flight.encoded(9, slot(Terms { confirmed: true, ..keyed("a") }));
    flight.encoded(9, slot(Terms::default()));
    flight.handed_over(0, &mut told(&mut fates));
    assert!(flight.wants_barrier());
    flight.replace("a", &mut told(&mut fates));
    assert!(!flight.wants_barrier());
    assert!(flight.rare.is_none(), "nothing is left of it");
}

#[test]
fn what_expires_is_cut_out_unless_it_is_begun() {
    let now = Instant::now();
    let expiring = || Terms { expiry: Expiry::At(now), confirmed: true, ..Terms::default() };
    let (mut flight, mut fates) = (Flight::default(), Vec::new());
    for (size, terms) in [
        (9, expiring()),
        (10, expiring()),
        (20, Terms::default()),
        (30, expiring()),
        (5, expiring()),
    ] {
        flight.encoded(size, slot(terms));
    }
    flight.handed_over(4, &mut told(&mut fates));
    assert_eq!(flight.expire(now, &mut told(&mut fates)), [65..70, 35..65, 5..15]);
    let unwritten = Fate::NotWritten(Loss::Deadline);
    assert_eq!(fates, [Fate::Unknown(Loss::Deadline), unwritten, unwritten, unwritten]);
    assert!(!flight.wants_barrier(), "nobody waits for a confirmation any more");
    flight.handed_over(25, &mut told(&mut fates));
    assert_eq!(fates.last(), Some(&Fate::Written));
    assert!(flight.rare.is_none(), "nothing is left of it");
}
