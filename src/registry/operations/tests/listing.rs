//! Devices page by page.

use super::*;

#[test]
fn devices_are_listed_by_what_their_records_say() {
    let memory = Memory::default();
    for n in 0..30 {
        let mut said = registration(n, Some(if n % 2 == 0 { "anna" } else { "ben" }));
        said.tags = (n % 3 == 0).then(|| vec![tag("news")]);
        register(&memory, &said, at(1)).unwrap();
    }
    // Surplus entries, as after a crash.
    let mut index = AliasIndex::default();
    for n in (0..30).step_by(2).chain([1, 99]) {
        index.join(&nth(n).token, 1).unwrap();
    }
    memory.put(&alias_key(&alias("anna"), &topic()), &index.write());
    for n in 5..8 {
        register(&memory, &in_other_app(n, Some("anna")), at(1)).unwrap();
    }
    let listed = |selection: &Selection, visible: &dyn Fn(&Topic) -> bool| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let limit = PageLimit::new(4).unwrap();
            let page = ready(candidates(&memory, selection, visible, after, limit)).unwrap();
            assert!(page.devices.len() <= limit.get());
            for candidate in page.devices {
                let record = device(&memory, &candidate).unwrap();
                if record.is_some_and(|record| selection.includes(&record)) {
                    found.push(candidate);
                }
            }
            after = page.next;
            if after.is_none() {
                found.sort_by(|a, b| (&a.topic, &a.token).cmp(&(&b.topic, &b.token)));
                return found;
            }
        }
    };
    let every = |wanted: fn(&u32) -> bool| (0..30).filter(wanted).map(nth).collect::<Vec<_>>();
    let of_anna = |topic, tag| Selection::Alias {
        alias: alias("anna"),
        topic,
        tag,
    };
    let yes = &|_: &Topic| true;
    assert_eq!(listed(&Selection::Group(all()), yes), every(|_| true));
    assert_eq!(
        listed(&Selection::Group(news()), yes),
        every(|n| n % 3 == 0)
    );
    let others: Vec<_> = (5..8).map(|n| in_other_app(n, None).device()).collect();
    let all_of_anna = [every(|n| n % 2 == 0), others.clone()].concat();
    assert_eq!(listed(&of_anna(None, None), yes), all_of_anna);
    assert_eq!(
        listed(&of_anna(Some(topic()), None), yes),
        every(|n| n % 2 == 0)
    );
    let bound = |app: &Topic| *app != topic();
    assert_eq!(listed(&of_anna(None, None), &bound), others);
    assert_eq!(
        listed(&of_anna(None, Some(tag("news"))), yes),
        every(|n| n % 6 == 0)
    );
    let other = Topic::parse("com.example.other").unwrap();
    assert_eq!(listed(&of_anna(Some(other), None), yes), []);
    for selection in [Selection::Group(all()), of_anna(None, None)] {
        assert_eq!(listed(&selection, &|_| false), []);
    }
}

#[test]
fn a_page_of_an_alias_of_many_apps_reads_so_many_indexes() {
    let memory = Memory::default();
    let mut topics = AliasTopics::default();
    for n in 0..3_000 {
        let app = Topic::parse(&format!("com.example.app{n}")).unwrap();
        topics.add(&app).unwrap();
    }
    memory.put(&alias_topics_key(&alias("anna")), &topics.write());
    let last = topics
        .as_slice()
        .iter()
        .max_by_key(|app| Cursor::last_of(app));
    let last = Registration {
        topic: last.unwrap().clone(),
        ..registration(1, Some("anna"))
    };
    register(&memory, &last, at(1)).unwrap();
    let selection = Selection::Alias {
        alias: alias("anna"),
        topic: None,
        tag: None,
    };
    let limit = PageLimit::new(1).unwrap();
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let before = memory.gets.get();
        let page = ready(candidates(&memory, &selection, |_| true, after, limit)).unwrap();
        assert!(memory.gets.get() - before <= 1_024 + 2);
        after = page.next;
        pages.push(page.devices.len());
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, [0, 0, 1]);
}
