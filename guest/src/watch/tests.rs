//! A tree under arbitrary changes, read at arbitrary moments.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;

use super::hub::Hub;
use super::{WatchOptions, WatcherId};
use crate::files::test_dir::TestDir;

#[derive(Clone, Debug)]
enum Change {
    MakeDir(String),
    Write(String),
    Remove(String),
    Rename(String, String),
    MoveOut(String),
    MoveIn(String),
    /// The hub reads what there is
    Read,
}

/// Few names, so that they are used again and again.
fn path() -> impl Strategy<Value = String> {
    "[ab](/[ab]){0,3}"
}

fn change(renames: bool) -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => path().prop_map(Change::MakeDir),
        3 => path().prop_map(Change::Write),
        2 => path().prop_map(Change::Remove),
        if renames { 4 } else { 0 } => (path(), path()).prop_map(|(from, to)| Change::Rename(from, to)),
        1 => path().prop_map(Change::MoveOut),
        1 => path().prop_map(Change::MoveIn),
        3 => Just(Change::Read),
    ]
}

/// A watched tree, and a place outside of it.
struct Scene {
    dir: TestDir,
    hub: Hub,
    id: WatcherId,
    outside: Vec<PathBuf>,
}

impl Scene {
    fn new() -> Scene {
        let dir = TestDir::new();
        fs::create_dir(dir.path().join("tree")).unwrap();
        let mut hub = Hub::default();
        let root = dir.path().join("tree");
        let (id, _) = hub.add(root, WatchOptions { recursive: true, ..WatchOptions::default() }).unwrap();
        Scene { dir, hub, id, outside: Vec::new() }
    }

    fn inside(&self, path: &str) -> PathBuf {
        self.dir.path().join("tree").join(path)
    }

    /// Changes that make no sense at this moment change nothing.
    fn apply(&mut self, change: &Change) {
        match change {
            Change::MakeDir(path) => drop(fs::create_dir_all(self.inside(path))),
            Change::Write(path) => drop(fs::write(self.inside(path), "")),
            Change::Remove(path) => {
                let path = self.inside(path);
                drop(fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)));
            }
            Change::Rename(from, to) => drop(fs::rename(self.inside(from), self.inside(to))),
            Change::MoveOut(path) => {
                let out = self.dir.path().join(format!("out{}", self.outside.len()));
                if fs::rename(self.inside(path), &out).is_ok() {
                    self.outside.push(out);
                }
            }
            Change::MoveIn(path) => {
                let to = self.inside(path);
                let has_place = !to.exists() && to.parent().map_or(false, Path::is_dir);
                if let (true, Some(from)) = (has_place, self.outside.pop()) {
                    fs::rename(from, to).unwrap();
                }
            }
            Change::Read => self.hub.drain(),
        }
    }

    /// Events as type and name.
    fn events(&mut self) -> Vec<(String, String)> {
        self.hub.drain();
        let list: Value = serde_json::from_str(&format!("[{}]", self.hub.take(self.id).unwrap())).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(|event| (text(&event["type"]), text(&event["name"]))).collect()
    }

    /// All paths below the root, and which of them are directories.
    fn paths(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut all, mut directories) = (BTreeSet::new(), BTreeSet::new());
        let mut found = vec![self.inside("")];
        while let Some(directory) = found.pop() {
            for entry in fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.inside("")).unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    directories.insert(name.clone());
                    found.push(path);
                }
                all.insert(name);
            }
        }
        (all, directories)
    }
}

proptest! {
    #[test]
    fn events_tell_what_is_there(changes in proptest::collection::vec(change(false), 0..40)) {
        let mut scene = Scene::new();
        changes.iter().for_each(|change| scene.apply(change));
        let mut told = BTreeSet::new();
        for (kind, name) in scene.events() {
            match kind.as_str() {
                "create" => prop_assert!(told.insert(name.clone()), "{} is told as created twice", name),
                "remove" | "rename" => {
                    prop_assert!(told.contains(&name), "{} goes but was never told", name);
                    told.retain(|known| !Path::new(known).starts_with(&name));
                }
                _ => {}
            }
        }
        prop_assert_eq!(told, scene.paths().0);
    }

    #[test]
    fn every_directory_is_watched_under_its_name(changes in proptest::collection::vec(change(true), 0..40)) {
        let mut scene = Scene::new();
        changes.iter().for_each(|change| scene.apply(change));
        scene.events();
        let (_, mut directories) = scene.paths();
        directories.insert(String::new());
        let probe = |directory: &String| if directory.is_empty() { "probe".to_owned() } else { format!("{}/probe", directory) };
        let expected: BTreeSet<_> = directories.iter().map(probe).collect();
        for path in &expected {
            fs::File::create(scene.inside(path)).unwrap();
        }
        let seen: Vec<_> = scene.events().into_iter().map(|(_, name)| name).collect();
        prop_assert_eq!(seen.len(), expected.len());
        prop_assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected);
        scene.hub.check();
    }
}

impl Hub {
    /// What is noted in two places agrees, and nothing is noted that doesn't exist.
    fn check(&self) {
        let mut count = 0;
        for (id, watcher) in &self.watchers {
            for (path, wd) in &watcher.directories {
                let known = &self.directories[wd];
                assert_eq!(known.iter().filter(|known| known.watcher == *id && known.path == *path).count(), 1);
                count += 1;
            }
            assert!(watcher.moving.is_empty());
        }
        assert_eq!(self.directories.values().map(Vec::len).sum::<usize>(), count);
        assert!(self.scans.is_empty());
    }
}
