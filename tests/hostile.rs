//! Names that somebody chose to do harm, of files, classes, datasets, recipes and runs: in pages and plots, and on a terminal.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{gpunn_on_cpu as gpunn, json, text};

/// Writes images of two classes of these names into the folder `set`, with file names that end in `file`.
#[cfg(unix)]
fn images(set: &Path, classes: [&str; 2], file: &str) {
    for (class, base) in classes.into_iter().zip([150, 10]) {
        let folder = set.join(class);
        std::fs::create_dir_all(&folder).expect("a class");
        for number in 0..8_u32 {
            let pixel = |x: u32, y: u32| image::Luma([base + ((x * 7 + y * 3 + number * 11) % 90) as u8]);
            image::GrayImage::from_fn(16, 16, pixel)
                .save(folder.join(format!("{number}{file}.png")))
                .expect("an image");
        }
    }
}

#[cfg(unix)]
const TRAIN: &str = "--size 16 --channels 1 --model mlp --epochs 2 --batch-size 4 --no-report";

/// What a page does that a browser opened: its text as HTML, after all that it runs has run. `None` without a browser.
fn opened(page: &Path) -> Option<String> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |name: &str| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    let browser: PathBuf = names.into_iter().find_map(there)?;
    let profile = tempfile::tempdir().expect("a folder");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!(
            "file://{}",
            page.display().to_string().replace('%', "%25").replace('#', "%23").replace('?', "%3F")
        ))
        .output()
        .expect("the browser runs");
    let dom = text(&output.stdout);
    assert!(dom.contains("<html") || dom.contains("<svg"), "{}", text(&output.stderr));
    Some(dom)
}

/// What a script leaves in a page if it runs.
const RAN: &str = "data-ran=\"yes\"";

#[cfg(unix)]
#[test]
fn names_in_pages_and_plots_run_no_script_and_are_shown_as_they_are() {
    const RUN: &str = "<img src=x onerror=document.documentElement.dataset.ran='yes'>";
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let class = format!("a\"'&amp;]]>{RUN}");
    let other = "\u{202e}--><svg onload=document.documentElement.dataset.ran='yes'>".to_owned();
    let (set, run) = (format!("s{RUN}"), format!("r{RUN}"));
    images(&at.join(&set), [&class, &other], &format!("f{RUN}"));
    let recipe = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/glyphs-mlp.toml"))
        .expect("a recipe");
    let named = recipe.replacen("name = \"glyphs-mlp\"", &format!("name = {:?}", format!("n{RUN}")), 1);
    assert_ne!(named, recipe);
    std::fs::write(at.join("own.toml"), named).expect("written");
    let flags: Vec<&str> = TRAIN.split(' ').filter(|&word| word != "--model" && word != "mlp").collect();
    let train = ["train", "--recipe", "own.toml", "--dataset", &set, "--out", &run, "--quiet", "--json"];
    json(&gpunn(at, &[&train[..], &flags].concat()));
    for args in [&["report", &run, "--quiet"][..], &["report", "--compare", &run, &run, "--out", "c.html", "--quiet"]] {
        let output = gpunn(at, args);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let page = at.join(&run).join("report.html");
    let source = std::fs::read_to_string(&page).expect("a page");
    let escaped =
        |name: &str| name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    for name in [&class, &other, &set, &run, &format!("n{RUN}")] {
        assert!(source.contains(&escaped(name)), "{name}");
    }
    let plots = std::fs::read_dir(at.join(&run).join("plots")).expect("plots").map(|entry| entry.expect("one").path());
    let drawn = plots.filter(|path| path.extension().is_some_and(|ending| ending == "svg"));
    let pages: Vec<PathBuf> = [page, at.join("c.html"), at.join("c.svg")].into_iter().chain(drawn).collect();
    assert!(pages.len() > 5, "{pages:?}");
    for page in &pages {
        let source = std::fs::read_to_string(page).expect("a page");
        assert!(!["<img src=x", "<svg onload"].iter().any(|part| source.contains(part)), "{}", page.display());
    }
    // A page whose name runs its script shows that the browser would have run the others.
    std::fs::write(at.join("careless.html"), format!("<p>{class}</p>")).expect("written");
    let Some(careless) = opened(&at.join("careless.html")) else {
        // A browser is a large thing to ask for, also of CI.
        return crate::common::skip::note("there is no Chromium");
    };
    assert!(careless.contains(RAN), "{careless}");
    for page in &pages {
        assert!(!opened(page).expect("as before").contains(RAN), "{}", page.display());
    }
    // What the browser shows, back as HTML: the names, letter by letter.
    let shown = opened(&pages[0]).expect("as before");
    let back = |name: &str| name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for name in [&class, &other, &set, &run] {
        assert!(shown.contains(&back(name)), "{name}");
    }
}

/// No name moves the cursor, sets the title of the window or turns the order of letters. JSON has the names as they are.
#[cfg(unix)]
#[test]
fn names_do_not_command_the_terminal() {
    const COMMANDS: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\r";
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let (set, class) = (format!("set{COMMANDS}"), format!("bright{COMMANDS}"));
    images(&at.join(&set), [&class, "dark"], COMMANDS);
    std::fs::write(at.join(&set).join("dark").join(format!("damaged{COMMANDS}.png")), b"no image").expect("written");
    let run = format!("run{COMMANDS}");
    let flags: Vec<&str> = TRAIN.split(' ').collect();
    let file = at.join(&set).join(&class).join(format!("0{COMMANDS}.png"));
    let file = file.to_str().expect("UTF-8");
    let missing = format!("missing{COMMANDS}.png");
    let trained = [&["train", "--dataset", &set, "--out", &run, "--skip-bad"], &flags[..]].concat();
    let mut shown = String::new();
    for (args, succeeds) in [
        (&trained[..], true),
        (&trained[..], false),
        (&["data", "check", &set], false),
        (&["eval", &run], true),
        (&["predict", &run, file], true),
        (&["predict", &run, &set], false),
        (&["predict", &run, &missing], false),
        (&["report", &run], true),
        (&["info", &format!("{run}/last.safetensors")], true),
        (&["train", "--dataset", &missing], false),
        (&["train", "--recipe", &missing], false),
        (&["predict", &run, file, &format!("--{missing}")], false),
        (&[&missing], false),
    ] {
        let output = crate::common::gpunn(at, args);
        for stream in [&output.stdout, &output.stderr] {
            let said = String::from_utf8(stream.clone()).expect("UTF-8");
            let command = said.chars().find(|&c| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}');
            assert!(command.is_none(), "{args:?}: {command:?} in {said:?}");
            shown += &said;
        }
        assert!(output.status.success() || !succeeds, "{args:?}: {}", text(&output.stderr));
    }
    let visible = "bright\\u001b]0;owned\\u0007\\u001b[2J\\u009b31m\\u202e\\u000d";
    assert!(shown.contains(visible), "{shown}");
    let answer = crate::common::gpunn(at, &["predict", &run, file, "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&answer.stdout).expect("JSON");
    assert!(answer.to_string().contains(&serde_json::to_string(&class).expect("a text")), "{answer}");
}

/// A cache of kernels that is damaged, or that others could have written, is made anew, with a word. Nobody has to delete it.
#[cfg(target_os = "linux")]
#[test]
fn a_kernel_cache_that_cannot_be_believed_is_made_anew_with_a_word() {
    use std::os::unix::fs::PermissionsExt;
    if gpunn::blocking::block_on(gpunn::gpu::adapters()).is_empty() {
        return crate::common::skip::skipped("there is no adapter");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let train =
        ["train", "--limit-train", "32", "--epochs", "1", "--device", "gpu", "--quiet", "--no-report", "--force"];
    let said = || {
        let output = crate::common::gpunn(at, &[&train[..], &["--out", "run"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    let without_a_cache = said();
    assert!(!without_a_cache.contains("made anew"), "{without_a_cache}");
    let kernels = at.join("cache/gpunn/kernels");
    let [name] = &crate::common::names(&kernels)[..] else { panic!("one cache") };
    let file = kernels.join(name);
    let whole = std::fs::read(&file).expect("a cache");
    let is_made_anew = |why: &str| {
        let warning = said();
        assert!(warning.contains(why) && warning.contains("It is not used, but made anew."), "{why}: {warning}");
        let after = said();
        assert!(!after.contains("made anew"), "{why}: {after}");
    };
    // Of this program's header, of its key, of wgpu's header, of the driver's, and of the kernels.
    let header = whole.windows(8).position(|bytes| bytes == b"WGPUPLCH").expect("wgpu's header");
    for place in [0, 14, 25, header - 1, header, header + 16, header + 31, header + 70, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x40;
        std::fs::write(&file, damaged).expect("written");
        is_made_anew("is damaged");
    }
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("written");
    is_made_anew("is damaged");
    for path in [&file, &kernels] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).expect("set");
        is_made_anew("can be written by other users");
    }
}
