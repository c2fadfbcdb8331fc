//! Tests of the directory: what is written is found, and what is damaged is not.

use super::*;
use crate::store::entry::Draft;
use std::os::unix::fs::PermissionsExt;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("tollgate-disk-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn disk(&self, bytes_max: u64) -> Disk {
        Disk::new(self.0.clone(), bytes_max, 1 << 20).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn entry(number: u64, length: usize, useful: Duration) -> Entry {
    let mut key = Key([0; Key::BYTES]);
    key.0[..8].copy_from_slice(&number.to_le_bytes());
    let now = Moment::now();
    let draft = Draft {
        key,
        generation: 0,
        created: now.wall - Duration::from_secs(100),
        fresh: useful,
        useful,
        label: b"label",
        head: b"head",
        body: &[Bytes::from(vec![b'x'; length])],
    };
    Entry::make(&draft, now)
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn what_one_wrote_another_finds_and_counts_after_its_walk() {
    let folder = Folder::new("shared");
    let (old, new) = (folder.disk(1 << 20), folder.disk(1 << 20));
    let kept = entry(1, 5000, HOUR);
    old.write(&kept);
    assert_eq!((old.entries(), old.bytes()), (1, 8192));
    assert_eq!(new.read(&kept.key).unwrap().body, kept.body);
    let third = folder.disk(1 << 20);
    third.walk();
    assert_eq!((third.entries(), third.bytes()), (1, 8192));
    old.remove(&kept.key);
    assert!(new.read(&kept.key).is_none());
    third.walk();
    assert_eq!(third.entries(), 0);
}

#[test]
fn a_damaged_file_is_a_miss_and_is_removed() {
    let folder = Folder::new("damaged");
    let disk = folder.disk(1 << 20);
    let kept = entry(1, 5000, HOUR);
    for length in [0, 10, 3000] {
        disk.write(&kept);
        let path = disk.path(&kept.key);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..length]).unwrap();
        assert!(disk.read(&kept.key).is_none());
        assert!(!path.exists(), "{length}");
    }
    assert!(!disk.health.is_failing());
}

#[test]
fn a_reading_that_must_not_wait_removes_nothing() {
    let folder = Folder::new("now");
    let (disk, other) = (folder.disk(1 << 20), folder.disk(1 << 20));
    let kept = entry(1, 5000, HOUR);
    let path = disk.path(&kept.key);
    other.write(&kept);
    assert!(disk.read_now(&kept.key).is_none());
    assert!(disk.read(&kept.key).is_some());
    // Where the file system can tell, it is the same entry.
    assert!(
        disk.read_now(&kept.key)
            .is_none_or(|entry| entry.key == kept.key)
    );
    fs::write(&path, b"damaged").unwrap();
    assert!(disk.read_now(&kept.key).is_none());
    assert!(path.exists());
}

#[test]
fn the_bound_is_kept_by_removing_files() {
    let folder = Folder::new("bound");
    let disk = folder.disk(40 * BLOCK_BYTES);
    for number in 0..400 {
        disk.write(&entry(number, 1000, HOUR));
    }
    assert!(disk.bytes() <= 40 * BLOCK_BYTES);
    let files = list(&folder.0)
        .flat_map(|f| list(&f))
        .flat_map(|f| list(&f))
        .count();
    assert_eq!(files, disk.entries());
    assert!(files > 20, "{files}");
}

#[test]
fn the_walk_removes_what_expired_and_what_was_never_finished() {
    let folder = Folder::new("walk");
    let disk = folder.disk(1 << 20);
    disk.write(&entry(1, 10, Duration::from_secs(1)));
    disk.write(&entry(2, 10, HOUR));
    let left = folder.0.join(UNFINISHED).join("1-1");
    fs::write(&left, "half").unwrap();
    let long_ago = SystemTime::now() - 2 * WRITING_MAX;
    File::options()
        .write(true)
        .open(&left)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    disk.walk();
    assert!(!left.exists());
    assert_eq!(disk.entries(), 1);
    assert!(disk.read(&entry(2, 10, HOUR).key).is_some());
}

#[test]
fn a_removed_directory_is_made_anew() {
    let folder = Folder::new("removed");
    let disk = folder.disk(1 << 20);
    let kept = entry(1, 10, HOUR);
    disk.write(&kept);
    fs::remove_dir_all(&folder.0).unwrap();
    assert!(disk.read(&kept.key).is_none());
    disk.write(&kept);
    assert!(disk.read(&kept.key).is_some());
    assert!(!disk.health.is_failing());
    let mode = fs::metadata(&folder.0).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_directory_that_cannot_be_made_is_told_once() {
    let folder = Folder::new("file");
    fs::write(&folder.0, "a file where the directory should be").unwrap();
    let disk = folder.disk(1 << 20);
    assert!(disk.health.is_failing());
    let errors = disk.health.errors();
    disk.write(&entry(1, 10, HOUR));
    assert_eq!(disk.health.errors(), errors, "left alone for a while");
    fs::remove_file(&folder.0).unwrap();
}

#[test]
fn notes_are_changed_one_after_the_other() {
    let folder = Folder::new("notes");
    let disks = [folder.disk(1 << 20), folder.disk(1 << 20)];
    let add = |disk: &Disk| {
        disk.change_note("n", |old| [old, b"x"].concat()).unwrap();
    };
    std::thread::scope(|scope| {
        for disk in &disks {
            scope.spawn(move || (0..50).for_each(|_| add(disk)));
        }
    });
    assert_eq!(disks[0].read_note("n").unwrap().len(), 100);
    assert!(disks[0].read_note("none").unwrap().is_empty());
}
