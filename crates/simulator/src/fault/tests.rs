//! Which request gets which fault, and how often.

use super::*;

#[test]
fn a_fault_happens_as_often_as_it_says_and_is_gone() {
    let mut faults = Faults::default();
    faults.add(Fault::new(Action::Silence).times(2)).unwrap();
    faults.add(Fault::status(503, "Shutdown")).unwrap();
    let actions: Vec<_> = (0..4)
        .map(|_| {
            faults
                .for_request(Call::Push, "ab")
                .map(|f| f.action.name())
        })
        .collect();
    assert_eq!(
        actions,
        [Some("silence"), Some("silence"), Some("status"), None]
    );
    assert!(faults.list().is_empty());
}

#[test]
fn a_prefix_picks_requests_whatever_the_case() {
    let mut faults = Faults::default();
    faults
        .add(Fault::new(Action::Silence).for_tokens("AB").always())
        .unwrap();
    assert!(faults.for_request(Call::Push, "abcd").is_some());
    assert!(faults.for_request(Call::Push, "cdab").is_none());
    assert!(faults.for_request(Call::Push, "a").is_none());
    assert!(faults.for_request(Call::Push, "é").is_none());
    assert!(faults.for_request(Call::Push, "ab").is_some());
}

#[test]
fn every_third_request_is_hit() {
    let mut faults = Faults::default();
    faults
        .add(Fault::new(Action::Silence).every(3).always())
        .unwrap();
    let hit: Vec<bool> = (0..7)
        .map(|_| faults.for_request(Call::Push, "ab").is_some())
        .collect();
    assert_eq!(hit, [false, false, true, false, false, true, false]);
}

#[test]
fn refused_connections_are_not_a_fault_of_requests() {
    let mut faults = Faults::default();
    faults.add(Fault::new(Action::RefuseConnections)).unwrap();
    assert!(faults.for_request(Call::Push, "ab").is_none());
    assert!(!faults.refuses_connection(Service::Gateway));
    assert!(faults.refuses_connection(Service::Provider));
    assert!(!faults.refuses_connection(Service::Provider));
}

#[test]
fn each_service_gets_its_own_faults() {
    let mut faults = Faults::default();
    let silence = Action::Gateway(GatewayAction::Silence);
    faults.add(Fault::new(silence.clone())).unwrap();
    let close = Action::Gateway(GatewayAction::Close { accept: true });
    faults
        .add(Fault::new(close.clone()).for_tokens("ab"))
        .unwrap();
    let dribble = Action::Feedback(FeedbackAction::Dribble { bytes: 1 });
    faults.add(Fault::new(dribble.clone())).unwrap();

    assert_eq!(faults.for_request(Call::Push, "ab"), None);
    assert_eq!(faults.for_connection(Service::Gateway), None);
    assert_eq!(faults.for_notification("cd", false), None);
    let fired = |fault: Option<Fault>| fault.map(|fault| fault.action);
    assert_eq!(fired(faults.for_notification("ab", false)), Some(close));
    assert_eq!(fired(faults.for_notification("cd", true)), Some(silence));
    assert_eq!(
        fired(faults.for_connection(Service::Feedback)),
        Some(dribble)
    );
    assert!(faults.list().is_empty());
}

#[test]
fn every_second_connection_is_hit_whatever_the_prefix() {
    let mut faults = Faults::default();
    let cut = Action::Gateway(GatewayAction::Cut { after_bytes: 0 });
    let fault = Fault::new(cut).always().every(2).for_tokens("ab");
    faults.add(fault).unwrap();
    let hit: Vec<bool> = (0..4)
        .map(|_| faults.for_connection(Service::Gateway).is_some())
        .collect();
    assert_eq!(hit, [false, true, false, true]);
}

#[test]
fn the_script_and_its_delays_are_bounded() {
    let mut faults = Faults::default();
    let slow = Fault::new(Action::Delay).after_ms(MAX_DELAY_MS + 1);
    assert_eq!(
        faults.add(slow),
        Err(FaultError::Delay {
            delay_ms: MAX_DELAY_MS + 1
        })
    );
    for _ in 0..MAX_FAULTS {
        faults.add(Fault::new(Action::Delay)).unwrap();
    }
    assert_eq!(faults.add(Fault::new(Action::Delay)), Err(FaultError::Full));
    faults.clear();
    assert_eq!(faults.add(Fault::new(Action::Delay)), Ok(()));
}
