//! Jobs: written, found again, and counted, also when there are very many.

use crate::place::Place;
use sqlx::{Connection, PgConnection, SqliteConnection};
use std::time::Instant;
use store::Shop;
use store::shop::{Job, JobEvent, JobQuery};

const MANY: usize = 10_000;

pub(crate) fn job(id: &str, printer: &str, started_us: i64) -> Job {
    Job {
        id: id.into(),
        printer_id: printer.into(),
        printer_name: format!("Drucker {printer}"),
        name: format!("Halter {id}.3mf"),
        state: "printing".into(),
        started_us,
        seen_us: started_us,
        created_us: started_us,
        updated_us: started_us,
        ..Job::default()
    }
}

fn event(what: &str, detail: &str) -> JobEvent {
    JobEvent { time_us: 3, what: what.into(), detail: detail.into(), ..JobEvent::default() }
}

#[tokio::test]
async fn a_job_is_written_as_it_goes_on() {
    for place in Place::both() {
        let shop = place.shop().await;
        let begun = job("j1", "p1", 100);
        shop.put_job(&begun, &[event("started", "")]).await.unwrap();
        shop.put_job(&job("j2", "p1", 200), &[]).await.unwrap();
        let queued = Job { queue_run: Some("r1".into()), ..job("j3", "p2", 300) };
        shop.put_job(&queued, &[]).await.unwrap();
        assert_eq!(shop.job_of_run("p2", "r1").await.unwrap(), Some(queued));
        assert_eq!(shop.job_of_run("p1", "r1").await.unwrap(), None);
        shop.set_job_note("j1", "Für Ömer 100%").await.unwrap();
        let ended = Job {
            own_id: Some("17".into()),
            state: "finished".into(),
            ended_us: Some(150),
            printed_s: Some(40),
            paused_s: 2,
            progress_permille: 1000,
            layer: Some(9),
            layers: Some(9),
            filament_um: Some(5_000_000_000),
            known_by: "seen".into(),
            updated_us: 150,
            ..begun
        };
        let events = [event("paused", "a"), event("finished", "b")];
        shop.put_job(&ended, &events).await.unwrap();
        let now = shop.job("j1").await.unwrap().unwrap();
        assert_eq!(now, Job { note: "Für Ömer 100%".into(), ..ended });
        let events = shop.job_events("j1").await.unwrap();
        let told: Vec<_> = events.iter().map(|event| (event.seq, &*event.what)).collect();
        assert_eq!(told, [(1, "started"), (2, "paused"), (3, "finished")]);
        assert!(events.iter().all(|event| event.job_id == "j1"));

        let ids = |jobs: Vec<Job>| jobs.into_iter().map(|job| job.id).collect::<Vec<_>>();
        assert_eq!(ids(shop.open_jobs("p1").await.unwrap()), ["j2"]);
        assert_eq!(ids(shop.last_jobs("p1", 5).await.unwrap()), ["j2", "j1"]);
        assert_eq!(ids(shop.last_jobs("p1", 1).await.unwrap()), ["j2"]);
        shop.remove_printer("p1").await.unwrap();
        shop.remove_job("j1").await.unwrap();
        assert_eq!(shop.job("j1").await.unwrap(), None);
        assert_eq!(shop.job_events("j1").await.unwrap(), []);
        assert_eq!(ids(shop.jobs(&JobQuery::default()).await.unwrap().rows), ["j3", "j2"]);
    }
}

#[tokio::test]
async fn progress_is_written_for_all_at_once_and_for_none_that_is_over() {
    for place in Place::both() {
        let shop = place.shop().await;
        let ids: Vec<_> = (0..500).map(|number| format!("j{number}")).collect();
        for id in &ids {
            shop.put_job(&job(id, "p1", 100), &[event("started", "")]).await.unwrap();
        }
        let end = Job { state: "finished".into(), ended_us: Some(150), ..job("j0", "p1", 100) };
        shop.put_job(&end, &[event("finished", "")]).await.unwrap();
        // another hub, which has taken over
        let later = Job { seen_us: 300, layer: Some(9), ..job("j1", "p1", 100) };
        shop.put_job(&later, &[]).await.unwrap();
        let mut changes = shop.changes();
        let changed = |id: &str| store::shop::Change::Job(id.into());
        shop.put_job(&job("mark", "p1", 400), &[]).await.unwrap();
        while changes.recv().await.unwrap() != changed("mark") {}
        let gone_on = |id: &String| Job {
            seen_us: 200,
            updated_us: 200,
            own_id: Some("17".into()),
            name: "Öse.gcode".into(),
            path: Some("/a".into()),
            hash: Some("ab".into()),
            progress_permille: 250,
            layer: Some(3),
            layers: Some(12),
            filament_um: Some(5_000_000_000),
            estimate_s: None,
            ..job(id, "p1", 100)
        };
        // what it does not write: that is for events
        let told = |id: &String| Job { state: "paused".into(), paused_s: 7, ..gone_on(id) };
        let mut told: Vec<_> = ids.iter().map(told).collect();
        told.push(job("removed", "p1", 100));
        shop.put_progress(&told).await.unwrap();
        assert_eq!(shop.job("j0").await.unwrap().unwrap(), end);
        assert_eq!(shop.job("j1").await.unwrap().unwrap(), later);
        for id in &ids[2..] {
            assert_eq!(shop.job(id).await.unwrap().unwrap(), gone_on(id));
        }
        assert_eq!(shop.job("removed").await.unwrap(), None);
        let search = JobQuery { search: "öse".into(), ..JobQuery::default() };
        assert_eq!(shop.jobs(&search).await.unwrap().total, 498);
        shop.put_progress(&[]).await.unwrap();
        shop.put_job(&job("last", "p1", 400), &[]).await.unwrap();
        assert_eq!(changes.recv().await.unwrap(), changed("last"), "nobody is told of progress");
    }
}

#[tokio::test]
async fn a_search_finds_every_word_in_any_case() {
    for place in Place::both() {
        let shop = place.shop().await;
        let name = "GROSSE Ölkanne_50%.gcode".to_owned();
        let can = Job { name, state: "failed".into(), ..job("j1", "Kästchen", 1) };
        shop.put_job(&can, &[]).await.unwrap();
        shop.set_job_note("j1", "Für Émile").await.unwrap();
        shop.put_job(&job("j2", "p2", 2), &[]).await.unwrap();
        for (search, found) in [
            ("", 2),
            ("  ", 2),
            ("ölkanne", 1),
            ("ÖLKANNE émile", 1),
            ("kästchen für 50%", 1),
            ("_50%", 1),
            ("%", 1),
            ("_", 1),
            ("!", 0),
            ("'", 0),
            ("drucker", 2),
            ("ölkanne nichts", 0),
            ("j2.3mf", 1),
        ] {
            let query = JobQuery { search: search.into(), ..JobQuery::default() };
            assert_eq!(shop.jobs(&query).await.unwrap().total, found, "{search:?}");
            assert_eq!(shop.jobs(&query).await.unwrap().rows.len() as i64, found, "{search:?}");
        }
        let query = JobQuery {
            printers: vec!["p2".into(), "Kästchen".into()],
            states: vec!["failed".into()],
            ..JobQuery::default()
        };
        assert_eq!(shop.jobs(&query).await.unwrap().rows[0].id, "j1");
        let query = JobQuery { from_us: Some(2), to_us: Some(3), ..JobQuery::default() };
        assert_eq!(shop.jobs(&query).await.unwrap().rows[0].id, "j2");
        let query = JobQuery { from_us: Some(1), to_us: Some(2), ..JobQuery::default() };
        assert_eq!(shop.jobs(&query).await.unwrap().rows[0].id, "j1");
    }
}

#[tokio::test]
async fn ten_thousand_jobs_are_paged_without_a_gap() {
    for place in Place::both() {
        let shop = place.shop().await;
        // the tables are made with what is written first
        shop.remove_job("none").await.unwrap();
        fill(&place).await;
        for oldest_first in [false, true] {
            // several start in the same microsecond: the id decides
            let mut query = JobQuery { limit: 997, oldest_first, ..JobQuery::default() };
            let mut all: Vec<(i64, String)> = Vec::new();
            loop {
                let page = shop.jobs(&query).await.unwrap();
                assert_eq!(page.total, MANY as i64);
                all.extend(page.rows.into_iter().map(|job| (job.started_us, job.id)));
                // what is new meanwhile is in no page of an older beginning
                let Some(next) = page.next else { break };
                assert_eq!(all.last(), Some(&next));
                query.after = Some(next);
            }
            assert_eq!(all.len(), MANY);
            let in_order = |pair: &[(i64, String)]| (pair[0] < pair[1]) == oldest_first;
            assert!(all.windows(2).all(in_order));
        }
        let mut seen = 0;
        shop.for_each_job(&JobQuery::default(), |_| seen += 1).await.unwrap();
        assert_eq!(seen, MANY);
        let states = shop.job_counts(&JobQuery::default()).await.unwrap();
        assert_eq!(states, [("failed".into(), 1000), ("finished".into(), 9000)]);
        timed(&shop, if place.server.is_some() { "postgresql" } else { "sqlite" }).await;
    }
}

/// Past the shop, in one statement: ten thousand commits would take a quarter of a minute.
async fn fill(place: &Place) {
    let sql = "INSERT INTO jobs (id, printer_id, printer_name, name, state, started_us, ended_us, \
               seen_us, paused_s, progress_permille, known_by, made_by, note, search, \
               note_search, created_us, updated_us) \
               WITH RECURSIVE numbers (n) AS \
               (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9999) \
               SELECT 'j' || CAST(10000 + n AS TEXT), 'p' || CAST(n % 20 AS TEXT), 'Drucker', \
               'Halter ' || CAST(10000 + n AS TEXT) || '.3mf', \
               CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'finished' END, n / 3, n / 3 + 1, n / 3, \
               0, 1000, 'seen', '', '', 'halter ' || CAST(10000 + n AS TEXT) || '.3mf drucker', \
               '', 0, 0 FROM numbers";
    let done = if place.server.is_some() {
        let mut database = PgConnection::connect(&place.address()).await.unwrap();
        sqlx::query(sql).execute(&mut database).await.unwrap().rows_affected()
    } else {
        let url = format!("sqlite://{}", place.address());
        let mut database = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query(sql).execute(&mut database).await.unwrap().rows_affected()
    };
    assert_eq!(done, MANY as u64);
}

/// How long it takes: shown, never judged.
async fn timed(shop: &Shop, engine: &str) {
    let list = JobQuery { limit: 50, ..JobQuery::default() };
    let deep = JobQuery { after: Some((1000, "j13000".into())), ..list.clone() };
    let search = JobQuery { search: "halter 1777".into(), ..list.clone() };
    let printer = JobQuery { printers: vec!["p3".into()], ..list.clone() };
    for (what, query) in
        [("list", &list), ("deep page", &deep), ("search", &search), ("one printer", &printer)]
    {
        let mut times = Vec::new();
        for _ in 0..20 {
            let began = Instant::now();
            let page = shop.jobs(query).await.unwrap();
            times.push(began.elapsed());
            assert!(!page.rows.is_empty());
        }
        times.sort();
        eprintln!("{engine}: {what} of {MANY} jobs: median {:?}", times[10]);
    }
    let began = Instant::now();
    shop.job_counts(&list).await.unwrap();
    eprintln!("{engine}: counts of {MANY} jobs: {:?}", began.elapsed());
}
