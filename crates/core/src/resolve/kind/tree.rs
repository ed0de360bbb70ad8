//! Trees: an archive by URL and digest, or npm packages by lockfile. Neither is fetched here.

use crate::config::{Code, Diagnostic, LocalPath, Reported, Url, shown};
use crate::model::{AbsPath, Digest, Source, Spec, TreeSpec};

use super::super::reader::Reader;
use super::file::path;
use super::lock_file;

pub(super) fn archive(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let url = reader.required::<Url>("url");
    let sha256 = reader.required::<String>("sha256");
    let strip = reader.optional::<u32>("strip");
    let said = reader.said();
    let url = url.and_then(|url| match url.value.0.split_once("://") {
        Some(("https" | "http" | "file", _)) => Ok(url),
        _ => {
            let message = format!("no archive can be fetched from `{}`", shown(&url.value.0));
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, url.span, "");
            Err(reader.report(diagnostic.help("write a URL that begins with https://, http:// or file://")))
        }
    });
    let sha256 = sha256?;
    let Ok(digest) = sha256.value.parse::<Digest>() else {
        let message = "a SHA-256 is 64 hexadecimal digits";
        let diagnostic = Diagnostic::error(Code::InvalidValue, message, sha256.span, "");
        return Err(reader.report(diagnostic.help("take it from the makers' own page, or from `sha256sum FILE`")));
    };
    let source = Source::Archive {
        url: url?.value.0,
        sha256: digest,
        strip: strip?.map_or(0, |strip| strip.value),
    };
    let path = AbsPath::new(name.value).map_err(|_| Reported)?;
    reader.declare(Spec::Tree(TreeSpec { path, source }), name.span, said?);
    Ok(())
}

pub(super) fn npm(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let manifest = reader.required::<LocalPath>("manifest");
    let lock = reader.required::<LocalPath>("lock");
    let programs = reader.optional::<AbsPath>("programs");
    let scripts = reader.optional::<bool>("scripts");
    let prepare = reader.list::<String>("prepare");
    let env = reader.table("env");
    let said = reader.said();
    let mut local = |path: crate::config::Spanned<LocalPath>| {
        let path = path.map(|path| path.0);
        let local = reader.locals.file(&path, reader.renderer.found)?;
        reader.declarations.keep(&local.blob, local.content);
        Ok(local)
    };
    let lock_span = lock.as_ref().map_or(name.span, |lock| lock.span);
    let (manifest, lock) = (manifest.and_then(&mut local), lock.and_then(local));
    let (manifest, lock) = (manifest?, lock?);
    let holds = lock_file::packages(manifest.blob.bytes(), lock.blob.bytes()).map_err(|problem| {
        let (message, why) = match problem.code {
            Code::BadPackage => (
                problem.what,
                "npm would install it without an error, and the service would never start",
            ),
            Code::NodeVersion => (
                problem.what,
                "npm installs it all the same, and it ends when it is started",
            ),
            _ => (
                format!("these packages cannot be installed: {}", problem.what),
                "every host gets exactly the packages that the lock file pins, each checked by its digest",
            ),
        };
        let diagnostic = Diagnostic::error(problem.code, message, lock_span, "");
        reader.report(diagnostic.because(why).help(problem.fix))
    })?;
    let (manifest, lock) = (manifest.content, lock.content);
    let source = Source::Npm {
        manifest,
        lock,
        programs: path(programs?),
        holds,
        scripts: scripts?.is_some_and(|scripts| scripts.value),
        prepare: prepare?.into_iter().map(|word| word.value).collect(),
        env: env?,
    };
    let path = AbsPath::new(name.value).map_err(|_| Reported)?;
    reader.declare(Spec::Tree(TreeSpec { path, source }), name.span, said?);
    Ok(())
}
