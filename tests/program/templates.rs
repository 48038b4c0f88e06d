//! The templates for other people's CI: what is in them is run as it stands there, with a runner that is played, and comes to what one run
//! comes to.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Bench, PASSES, RESETS, example};
use pretty_assertions::assert_eq;
use serde_json::Value;
use vfio_user_conformance::report::Report;
use vfio_user_conformance::verdict::CaseResult;

/// Each parameter gives a finding of its own: more than there may be annotations.
const FAILS: &str = "case many.regions
with n = 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24
> DEVICE_GET_INFO
< ok num_regions>={n}                                   [INFO-01]
";

/// A folder for everything that a run of a template leaves, with the programs that its scripts call.
struct Stage {
    bench: Bench,
    expects: bool,
}

/// How a job ended.
#[derive(Debug)]
struct Job {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Stage {
    /// With these case files, against a server that does nothing wrong and has little.
    fn new(cases: &[(&str, &str)]) -> Stage {
        let bench = Bench::new(cases);
        for folder in ["bin", "store", "jobs"] {
            fs::create_dir(bench.path(folder)).unwrap();
        }
        let stage = Stage { bench, expects: false };
        let server = format!("exec {} --mode good \"$@\"", example("misbehaving-server"));
        stage.program("gpio", &server);
        symlink(env!("CARGO_BIN_EXE_vfio-user-conformance"), stage.path("bin/vfio-user-conformance")).unwrap();
        // What `cargo install` leaves, without the network: of the programs that are there already.
        stage.program(
            "cargo",
            &format!(
                "echo \"$@\" >> {log}\n\
                 while [ \"$1\" != --root ]; do shift; done\n\
                 mkdir -p \"$2/bin\"\n\
                 case \"$*\" in\n\
                 *vfio-user-conformance) ln -s {bin}/vfio-user-conformance \"$2/bin/\" ;;\n\
                 *) ln -s {bin}/gpio \"$2/bin/\" ;;\n\
                 esac",
                log = stage.bench.word("cargo.log"),
                bin = stage.bench.word("bin"),
            ),
        );
        stage
    }

    fn red() -> Stage {
        Stage::new(&[("many.case", FAILS), ("good.case", PASSES), ("reset.case", RESETS)])
    }

    fn green() -> Stage {
        Stage::new(&[("good.case", PASSES), ("reset.case", RESETS)])
    }

    /// As [`Stage::red`], with all that is wrong pinned, as the documentation says to pin it.
    fn pinned() -> Stage {
        let stage = Stage::red();
        let known = stage.bench.word("known.toml");
        let spawn = format!("{} --socket-path {{socket}}", stage.bench.word("bin/gpio"));
        stage.bench.run(&["--spawn", &spawn, "--expect-write", &known]).has_code(2);
        // `support` would compare them with the next run.
        for name in ["report.json", "every.xml"] {
            fs::remove_file(stage.path(name)).unwrap();
        }
        Stage { expects: true, ..stage }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.bench.path(name)
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        // By a process of its own: what this one has open for writing, a process that another test starts may have, too, for a
        // moment, and then nobody can run it.
        let mut writes = Command::new("sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        write!(writes.stdin.take().unwrap(), "#!/bin/sh\n{script}\n").unwrap();
        assert!(writes.wait().unwrap().success());
    }

    /// A template, with its line for pins taken in where something is pinned.
    fn template(&self, name: &str) -> String {
        let text = fs::read_to_string(template(name)).unwrap();
        if !self.expects {
            return text;
        }
        let lines = text.lines().map(|line| match line.trim_start().strip_prefix("# ") {
            Some(rest) if rest.starts_with("VFIO_USER_CONFORMANCE_EXPECT: ") => line.replacen("# ", "", 1),
            Some(rest) if rest == "- name: VFIO_USER_CONFORMANCE_EXPECT" || rest == "  value: known.toml" => {
                line.replacen("# ", "", 1)
            }
            _ => line.to_owned(),
        });
        let with: Vec<String> = lines.collect();
        assert_ne!(with.join("\n"), text.trim_end(), "the template has no line for pins");
        with.join("\n")
    }

    /// A folder that a job begins with, with what is in the repository where it takes that.
    fn folder(&self, name: &str, checkout: bool) -> PathBuf {
        let folder = self.path("jobs").join(name);
        fs::create_dir_all(&folder).unwrap();
        if checkout && self.path("known.toml").exists() {
            fs::copy(self.path("known.toml"), folder.join("known.toml")).unwrap();
        }
        folder
    }

    /// Runs one command line of a job.
    fn execute(&self, words: &[&str], folder: &Path, variables: &BTreeMap<String, String>) -> Job {
        let path = format!("{}:{}", self.bench.word("bin"), std::env::var("PATH").unwrap());
        let output = Command::new(words[0])
            .args(&words[1..])
            .current_dir(folder)
            .env_clear()
            .envs([("PATH", path), ("TMPDIR", self.bench.word("tmp")), ("XDG_STATE_HOME", self.bench.word("state"))])
            .envs([("VFIO_USER_CONFORMANCE_CASES", self.bench.word("cases"))])
            .env("VFIO_USER_CONFORMANCE_TIMEOUT", "5s")
            .envs(variables)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Job { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Copies what a list of patterns names out of a job's folder, or into it.
    fn copy(&self, patterns: &str, from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for pattern in patterns.split_whitespace() {
            let script = format!("cp -r --parents -t \"$0\" -- {}", pattern.trim_end_matches('/'));
            let copied = self.execute(&["bash", "-c", &script, to.to_str().unwrap()], from, &BTreeMap::new());
            assert_eq!(copied.code, 0, "{pattern} is not in {}: {copied:?}", from.display());
        }
    }

    /// What one run of everything tells, and how it ends.
    fn whole(&self) -> Report {
        let mut words = vec!["run", "--seed", "1", "--cases"];
        let (cases, spawn) =
            (self.bench.word("cases"), format!("{} --socket-path {{socket}}", self.bench.word("bin/gpio")));
        let (json, known) = (format!("json={}", self.bench.word("whole.json")), self.bench.word("known.toml"));
        words.extend([&cases, "--spawn", &spawn, "--report", &json, "--timeout", "5s"]);
        if self.expects {
            words.extend(["--expect", &known]);
        }
        let ended = self.bench.program(&words);
        let report = Report::read(&self.path("whole.json")).unwrap();
        assert_eq!(i32::from(report.exit_code), ended.code);
        report
    }

    /// The parts came to what the whole comes to: case by case, and in the exit code.
    fn assert_is_as_whole(&self, job: &Job, folder: &Path, code: i32) {
        assert_eq!(job.code, code, "{job:?}");
        let (whole, merged) = (self.whole(), Report::read(&folder.join("conformance.json")).unwrap());
        assert_eq!(i32::from(whole.exit_code), code);
        assert_eq!(merged.parts.len(), 3);
        assert_eq!(results(&merged), results(&whole));
        assert_eq!((merged.totals, &merged.said), (whole.totals, &whole.said));
        let junit = fs::read_to_string(folder.join("conformance.xml")).unwrap();
        let junit = quick_junit::Report::deserialize_from_str(&junit).unwrap();
        assert_eq!(junit.failures + junit.errors > 0, code != 0);
        assert!(fs::read_to_string(folder.join("conformance.html")).unwrap().contains("</html>"));
        let sign = if code == 0 { "## \u{2705} " } else { "## \u{274c} " };
        assert!(fs::read_to_string(folder.join("conformance.md")).unwrap().starts_with(sign));
    }
}

fn results(report: &Report) -> Vec<(&str, CaseResult, Vec<&str>)> {
    let cases = report.cases.iter();
    cases
        .map(|case| {
            (
                case.name.as_str(),
                case.result,
                case.findings.iter().map(|finding| finding.requirement.as_str()).collect(),
            )
        })
        .collect()
}

fn template(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/templates").join(name)
}

fn parsed(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn list(value: &Value) -> Vec<&str> {
    value.as_array().map_or_else(Vec::new, |all| all.iter().map(|one| one.as_str().unwrap()).collect())
}

/// The entries of a table of variables, with what `${{ .. }}` in them stands for.
fn variables(table: &Value, known: &[(&str, &str)]) -> BTreeMap<String, String> {
    let Some(table) = table.as_object() else { return BTreeMap::new() };
    table.iter().map(|(name, value)| (name.clone(), evaluated(&plain(value), known))).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[track_caller]
fn evaluated(text: &str, known: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (name, value) in known {
        text = text.replace(&format!("${{{{ {name} }}}}"), value);
    }
    assert!(!text.contains("${{"), "nothing is known of what stands in: {text}");
    text
}

/// Runs a job of a GitHub workflow as its runner does.
fn github_job(stage: &Stage, workflow: &Value, job: &str, shard: &str) -> (Job, PathBuf) {
    let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
    let takes = |step: &Value, action: &str| text(step, "uses").starts_with(&format!("actions/{action}@"));
    let folder = stage.folder(&format!("{job}-{shard}"), steps.iter().any(|step| takes(step, "checkout")));
    let known = [("matrix.shard", shard), ("strategy.job-total", "3")];
    let mut all = Job { code: 0, stdout: String::new(), stderr: String::new() };
    assert_eq!(workflow["defaults"]["run"]["shell"], "bash");
    for step in steps {
        if all.code != 0 && !text(step, "if").contains("!cancelled()") {
            continue;
        }
        let with = &step["with"];
        if takes(step, "upload-artifact") {
            let name = evaluated(text(with, "name"), &known);
            let none = all.code != 0 && fs::read_dir(&folder).unwrap().all(|entry| !is_report(&entry.unwrap().path()));
            if none && with["if-no-files-found"].is_null() {
                // The runner warns.
                continue;
            }
            stage.copy(&evaluated(text(with, "path"), &known), &folder, &stage.path("store").join(name));
        } else if takes(step, "download-artifact") {
            let named = format!("{}{}", text(with, "name"), text(with, "pattern"));
            assert!(
                !named.contains('*') || with["merge-multiple"] == true,
                "each artefact would have a folder of its own"
            );
            let script = format!("cp -r -t \"$0\" -- {named}/*");
            stage.execute(&["bash", "-c", &script, folder.to_str().unwrap()], &stage.path("store"), &BTreeMap::new());
        } else if !step["run"].is_null() {
            let mut environment = variables(&workflow["env"], &known);
            environment.extend(variables(&step["env"], &known));
            environment.insert("GITHUB_ACTIONS".to_owned(), "true".to_owned());
            environment.insert("GITHUB_STEP_SUMMARY".to_owned(), stage.bench.word("step-summary.md"));
            let shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text(step, "run")];
            let done = stage.execute(&shell, &folder, &environment);
            all.code = if all.code == 0 { done.code } else { all.code };
            all.stdout.push_str(&done.stdout);
            all.stderr.push_str(&done.stderr);
        } else {
            assert!(takes(step, "checkout") || takes(step, "cache"), "{step}");
        }
    }
    (all, folder)
}

fn is_report(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "conformance")
}

/// Runs the workflow; what its last job told, and its folder. Each job before must have succeeded.
fn github(stage: &Stage, lost: Option<&str>) -> (Job, PathBuf) {
    let workflow = parsed(&stage.template("github.yml"));
    for shard in workflow["jobs"]["part"]["strategy"]["matrix"]["shard"].as_array().unwrap() {
        let shard = shard.to_string();
        if shard == "1" {
            let (built, _) = github_job(stage, &workflow, "build", "1");
            assert_eq!(built.code, 0, "{built:?}");
        }
        let (part, _) = github_job(stage, &workflow, "part", &shard);
        assert_eq!(part.code, 0, "{part:?}");
    }
    if let Some(lost) = lost {
        fs::remove_dir_all(stage.path("store").join(lost)).unwrap();
    }
    github_job(stage, &workflow, "conformance", "1")
}

/// The lines that a runner takes for more than text.
fn commands(job: &Job) -> Vec<&str> {
    let lines = job.stdout.lines().chain(job.stderr.lines());
    lines.filter(|line| line.trim_start().starts_with("::") || line.contains("##[")).collect()
}

/// Runs a job of a GitLab pipeline as its runner does.
fn gitlab_job(stage: &Stage, pipeline: &Value, job: &str, index: usize) -> (Job, PathBuf) {
    let all = &pipeline[job];
    let mut environment = variables(&pipeline["variables"], &[]);
    environment.extend(variables(&all["variables"], &[]));
    environment.insert("CI_NODE_INDEX".to_owned(), index.to_string());
    environment.insert("CI_NODE_TOTAL".to_owned(), plain(&all["parallel"]));
    let folder = stage.folder(&format!("{job}-{index}"), text(&all["variables"], "GIT_STRATEGY") != "none");
    for need in list(&all["needs"]) {
        stage.copy("*", &stage.path("store").join(need), &folder);
    }
    let script = list(&all["script"]).join("\n");
    let done = stage.execute(&["bash", "-eo", "pipefail", "-c", &script], &folder, &environment);
    let mut paths = list(&all["artifacts"]["paths"]);
    paths.extend(all["artifacts"]["reports"]["junit"].as_str());
    if done.code == 0 || text(&all["artifacts"], "when") == "always" {
        stage.copy(&paths.join(" "), &folder, &stage.path("store").join(job));
    }
    (done, folder)
}

fn gitlab(stage: &Stage) -> (Job, PathBuf) {
    let pipeline = parsed(&stage.template("gitlab.yml"));
    let (built, _) = gitlab_job(stage, &pipeline, "conformance-build", 1);
    assert_eq!(built.code, 0, "{built:?}");
    for index in 1..=pipeline["conformance-part"]["parallel"].as_u64().unwrap() {
        let (part, _) = gitlab_job(stage, &pipeline, "conformance-part", index as usize);
        assert_eq!(part.code, 0, "{part:?}");
    }
    gitlab_job(stage, &pipeline, "conformance", 1)
}

/// Runs the Jobs of a cluster; all pods have one volume.
fn kubernetes(stage: &Stage) -> (Job, PathBuf) {
    let objects: Vec<Value> = serde_saphyr::from_multiple(&stage.template("kubernetes.yaml")).unwrap();
    let jobs: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "Job").collect();
    let [parts, verdict] = jobs[..] else { panic!("{} Jobs", jobs.len()) };
    let folder = stage.folder("volume", true);
    let pod = |job: &Value, index: u64| {
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["workingDir"], "/reports");
        let mut environment = BTreeMap::from([("JOB_COMPLETION_INDEX".to_owned(), index.to_string())]);
        for variable in container["env"].as_array().into_iter().flatten() {
            environment.insert(text(variable, "name").to_owned(), plain(&variable["value"]));
        }
        // The root of a pod can be written to at /tmp alone, which tests share with others.
        environment.insert("XDG_STATE_HOME".to_owned(), stage.bench.word("state"));
        let words = [list(&container["command"]), list(&container["args"])].concat();
        stage.execute(&words, &folder, &environment)
    };
    for index in 0..parts["spec"]["completions"].as_u64().unwrap() {
        let part = pod(parts, index);
        assert_eq!(part.code, 0, "{part:?}");
    }
    (pod(verdict, 0), folder)
}

#[test]
fn the_workflow_for_github_is_red_and_green_as_the_whole_run_is() {
    for (stage, code) in [(Stage::red(), 2), (Stage::green(), 0), (Stage::pinned(), 0)] {
        let (job, folder) = github(&stage, None);
        stage.assert_is_as_whole(&job, &folder, code);
        let summary = fs::read_to_string(stage.path("step-summary.md")).unwrap();
        assert_eq!(summary, fs::read_to_string(folder.join("conformance.md")).unwrap());
        for name in ["conformance.json", "conformance.xml", "conformance.html", "conformance.md"] {
            assert!(stage.path("store/conformance").join(name).exists(), "{name} is kept as no artefact");
        }
        let installed = fs::read_to_string(stage.path("cargo.log")).unwrap();
        assert_eq!(
            installed,
            "install --locked --root harness --git https://example.org/vfio-user-conformance.git --rev \
             0000000000000000000000000000000000000000 vfio-user-conformance\n\
             install --root server --version 0.1.7 --example gpio vfio_user\n"
        );
    }
}

#[test]
fn github_is_given_ten_annotations_at_case_lines_and_no_other_command() {
    let (job, _) = github(&Stage::red(), None);
    let commands = commands(&job);
    assert_eq!(commands.len(), 10, "{commands:#?}");
    for (n, command) in commands.iter().enumerate() {
        let start = if n < 9 { "::error file=" } else { "::error title=and 6 more::" };
        assert!(command.starts_with(start), "{command}");
        assert!(n == 9 || command.contains("many.case,line=4,title=INFO-01%3A many.regions/"), "{command}");
    }
    let (job, _) = github(&Stage::green(), None);
    assert_eq!(self::commands(&job), [""; 0]);
}

#[test]
fn a_part_that_is_lost_on_the_way_is_named_and_makes_the_workflow_red() {
    let (job, _) = github(&Stage::green(), Some("part-2"));
    assert_eq!(job.code, 1, "{job:?}");
    assert!(job.stderr.contains("part 2 of 3"), "{job:?}");
}

#[test]
fn a_server_cannot_speak_to_the_runner() {
    let stage = Stage::green();
    stage.program("gpio", "printf 'why\\n::error::a\\n  ::add-mask::b\\nsee ##[add-path]/tmp\\n' >&2; exit 7");
    let (job, _) = github(&stage, None);
    assert_eq!(job.code, 4, "{job:?}");
    assert!(job.stdout.contains("\\::error::a") || job.stdout.contains("| ::error::a"), "{job:?}");
    let commands = commands(&job);
    assert!(commands.iter().all(|command| command.starts_with("::error title=the run::")), "{commands:#?}");
    // One for each part that has a case.
    assert!((1..=3).contains(&commands.len()), "{commands:#?}");
}

#[test]
fn the_pipeline_for_gitlab_is_red_and_green_as_the_whole_run_is() {
    for (stage, code) in [(Stage::red(), 2), (Stage::green(), 0), (Stage::pinned(), 0)] {
        let (job, folder) = gitlab(&stage);
        stage.assert_is_as_whole(&job, &folder, code);
        assert!(stage.path("store/conformance/conformance.xml").exists());
    }
}

#[test]
fn the_jobs_for_kubernetes_are_red_and_green_as_the_whole_run_is() {
    for (stage, code) in [(Stage::red(), 2), (Stage::green(), 0), (Stage::pinned(), 0)] {
        let (job, folder) = kubernetes(&stage);
        stage.assert_is_as_whole(&job, &folder, code);
        let left = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("part-");
        assert!(
            !fs::read_dir(folder).unwrap().map(Result::unwrap).any(|entry| left(&entry)),
            "a later run would find it"
        );
    }
}

#[test]
fn the_jobs_for_kubernetes_have_no_rights_and_as_many_parts_as_pods() {
    let text = fs::read_to_string(template("kubernetes.yaml")).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    for job in objects.iter().filter(|object| object["kind"] == "Job") {
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let container = &pod["containers"][0]["securityContext"];
        assert_eq!(container["allowPrivilegeEscalation"], false);
        assert_eq!(container["readOnlyRootFilesystem"], true);
        assert_eq!(list(&container["capabilities"]["drop"]), ["ALL"]);
    }
    let parts = objects.iter().find(|object| object["spec"]["completionMode"] == "Indexed").unwrap();
    let environment = parts["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let shards = environment.iter().find(|variable| variable["name"] == "SHARDS").unwrap();
    assert_eq!(plain(&shards["value"]), parts["spec"]["completions"].to_string());
    assert_eq!(parts["spec"]["completions"], parts["spec"]["parallelism"]);
}

#[test]
fn the_workflow_for_github_can_only_read_and_names_each_action_by_its_commit() {
    let text = fs::read_to_string(template("github.yml")).unwrap();
    let workflow = parsed(&text);
    assert_eq!(workflow["permissions"].to_string(), r#"{"contents":"read"}"#);
    for line in text.lines().filter_map(|line| line.split_once("uses: ")) {
        let (commit, version) = line.1.split_once('@').unwrap().1.split_once(" # v").unwrap();
        assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{commit}");
        assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{version}");
    }
    for job in workflow["jobs"].as_object().unwrap().values() {
        assert!(job["permissions"].is_null(), "a job with rights of its own");
        for step in job["steps"].as_array().unwrap() {
            // What stands in a script in this way is code, whoever wrote it.
            assert!(!plain(&step["run"]).contains("${{"), "{step}");
        }
    }
}

#[test]
fn the_profile_for_nextest_is_one_and_its_three_commands_take_each_part_once() {
    let text = fs::read_to_string(template("nextest.toml")).unwrap();
    let parsed: toml::Table = text.parse().unwrap();
    assert!(parsed["profile"]["conformance"]["junit"]["path"].as_str().is_some());
    let parts: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once("--partition ")?.1)).collect();
    assert_eq!(parts, ["slice:1/3", "slice:2/3", "slice:3/3"]);
}
