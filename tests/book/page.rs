//! A page of Markdown: its blocks of commands, its headings and its links.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// What a block that is no block of commands is called by.
const NO_COMMANDS: &[&str] = &["case", "markdown", "rust,no_run", "text", "toml", "yaml"];

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    /// From the repository's root.
    pub(crate) path: String,
    text: String,
}

/// A command, with what is printed below it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// Where it stands in the page, from 1.
    pub(crate) line: usize,
    /// Without a comment behind it.
    pub(crate) text: String,
    /// `None` where a block tells commands alone.
    pub(crate) output: Option<String>,
}

/// A block between fences.
struct Block {
    line: usize,
    language: String,
    text: String,
}

impl Page {
    /// The README, the design, and the book.
    pub(crate) fn all() -> Vec<Page> {
        let names =
            fs::read_dir(Page::path("docs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut pages: Vec<String> =
            names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
        pages.extend(["README.md".to_owned(), "DESIGN.md".to_owned()]);
        pages.sort();
        pages.iter().map(|path| Page::read(path)).collect()
    }

    pub(crate) fn read(path: &str) -> Page {
        Page::of(path, &fs::read_to_string(Page::path(path)).unwrap())
    }

    pub(crate) fn of(path: &str, text: &str) -> Page {
        Page { path: path.to_owned(), text: text.to_owned() }
    }

    fn events(&self) -> impl Iterator<Item = (Event<'_>, usize)> {
        let events = Parser::new_ext(&self.text, Options::ENABLE_TABLES).into_offset_iter();
        events.map(|(event, range)| (event, self.text[..range.start].lines().count().max(1)))
    }

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut is_inside = false;
        for (event, line) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let language = match kind {
                        CodeBlockKind::Fenced(language) => language.to_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    // The fence stands on this line, or begins the next one.
                    let line = if self.text.lines().nth(line - 1).is_some_and(is_fence) { line } else { line + 1 };
                    blocks.push(Block { line: line + 1, language, text: String::new() });
                    is_inside = true;
                }
                Event::End(TagEnd::CodeBlock) => is_inside = false,
                Event::Text(text) if is_inside => blocks.last_mut().unwrap().text.push_str(&text),
                _ => {}
            }
        }
        blocks
    }

    /// Blocks that do not say what they are: commands could hide in them.
    pub(crate) fn unnamed(&self) -> Vec<String> {
        let is_named = |block: &Block| {
            let language = block.language.as_str();
            NO_COMMANDS.contains(&language) || language == "sh" || language == "console"
        };
        // The design has drawings, and no command.
        let blocks = self.blocks().into_iter().filter(|_| self.path != "DESIGN.md");
        let unnamed = blocks.filter(|block| !is_named(block));
        unnamed
            .map(|block| {
                let Block { line, language, .. } = block;
                format!(
                    "{}:{line}: a block is sh, console, or one of {}, not `{language}`",
                    self.path,
                    NO_COMMANDS.join(" ")
                )
            })
            .collect()
    }

    /// The commands in order; either those whose output is gpio's, or the others.
    pub(crate) fn commands(&self, of_gpio: bool) -> impl Iterator<Item = Command> {
        let blocks = self.blocks().into_iter().map(|block| match block.language.as_str() {
            "sh" => commands_alone(&block),
            "console" => commands_with_output(&block),
            _ => Vec::new(),
        });
        let is_of_gpio = |commands: &Vec<Command>| {
            commands.iter().any(|command| command.output.is_some() && command.text.contains("'gpio "))
        };
        blocks.filter(move |commands| is_of_gpio(commands) == of_gpio).flatten()
    }

    /// What a link to a heading is called by, as mdBook and the usual viewers of Markdown do.
    fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut heading: Option<String> = None;
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let slug = slug(&heading.take().unwrap());
                    let times = seen.entry(slug.clone()).or_default();
                    anchors.insert(if *times == 0 { slug } else { format!("{slug}-{times}") });
                    *times += 1;
                }
                _ => {}
            }
        }
        anchors
    }

    fn links(&self) -> Vec<(usize, String)> {
        let link = |(event, line)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some((line, dest_url.to_string()))
            }
            _ => None,
        };
        self.events().filter_map(link).collect()
    }

    /// The files that it links to, from the repository's root.
    pub(crate) fn linked(&self) -> BTreeSet<String> {
        self.links().into_iter().filter_map(|(_, link)| self.file(link.split('#').next().unwrap())).collect()
    }

    /// The file that is meant by a path in the page; none outside of the repository.
    fn file(&self, path: &str) -> Option<String> {
        if path.is_empty() {
            return Some(self.path.clone());
        }
        let mut file = PathBuf::from(&self.path);
        file.pop();
        for component in Path::new(path).components() {
            match component {
                Component::Normal(name) => file.push(name),
                Component::CurDir => {}
                Component::ParentDir if file.pop() => {}
                _ => return None,
            }
        }
        Some(file.to_str().unwrap().to_owned())
    }

    /// Links to a file or a heading that is not there. Those to other sites are not followed.
    pub(crate) fn dead_links(&self) -> Vec<String> {
        let dead = |(line, link): (usize, String)| {
            let wrong = |why: &str| Some(format!("{}:{line}: {link}: {why}", self.path));
            if link.contains("://") || link.starts_with("mailto:") {
                return None;
            }
            let (path, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(path, anchor)| (path, Some(anchor)));
            let Some(file) = self.file(path) else { return wrong("that is outside of the repository") };
            if path.is_empty() {
                return if self.anchors().contains(anchor.unwrap_or_default()) {
                    None
                } else {
                    wrong("no such heading")
                };
            }
            // The book is all of docs/ and nothing else.
            if self.path.starts_with("docs/") && (!file.starts_with("docs/") || path.contains("docs/")) {
                return wrong("a page of the book links to nothing outside of it");
            }
            if !Page::path(&file).exists() {
                return wrong("no such file");
            }
            match anchor {
                Some(anchor) if !Page::read(&file).anchors().contains(anchor) => wrong("no such heading there"),
                _ => None,
            }
        };
        self.links().into_iter().filter_map(dead).collect()
    }
}

fn is_fence(line: &str) -> bool {
    line.trim_start().starts_with("```")
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

/// A command as it is compared with others: no comment behind it.
fn without_comment(line: &str) -> String {
    line.split(" #").next().unwrap_or_default().trim().to_owned()
}

/// A line that ends in a backslash goes on in the next one.
fn commands_alone(block: &Block) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    let mut goes_on = false;
    for (n, line) in block.text.lines().enumerate() {
        let text = without_comment(line);
        let (text, to_be_continued) = match text.strip_suffix('\\') {
            Some(text) => (text.trim_end(), true),
            None => (text.as_str(), false),
        };
        match commands.last_mut().filter(|_| goes_on) {
            Some(before) => before.text = format!("{} {text}", before.text),
            None if text.is_empty() || text.starts_with('#') => {}
            None => commands.push(Command { line: block.line + n, text: text.to_owned(), output: None }),
        }
        goes_on = to_be_continued;
    }
    commands
}

fn commands_with_output(block: &Block) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for (n, line) in block.text.lines().enumerate() {
        if let Some(text) = line.strip_prefix("$ ") {
            commands.push(Command { line: block.line + n, text: without_comment(text), output: Some(String::new()) });
        } else {
            let before = commands.last_mut().and_then(|command| command.output.as_mut());
            let output = before.unwrap_or_else(|| panic!("line {}: a console block begins with `$ `", block.line));
            output.push_str(line);
            output.push('\n');
        }
    }
    commands
}
