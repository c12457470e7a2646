import type { BuildProgress } from '../../control/templates/build-logs.ts'
import type { ListedTemplate } from '../../control/templates/list.ts'
import type { Tag, Template } from '../../domain/template.ts'
import type { BuildLogEntry, TemplateBuild } from '../../domain/template-build.ts'
import { envdVersion } from '../../wire/sandbox.ts'
import type {
  BuildLogEntryBody,
  TemplateBody,
  TemplateBuildBody,
  TemplateBuildInfoBody,
  TemplateLegacyBody,
  TemplateTagBody,
  TemplateWithBuildsBody,
} from '../../wire/template.ts'

const time = (ms: number) => new Date(ms).toISOString()

export function presentTemplate({
  template,
  names,
  newest,
  current,
  buildCount,
}: ListedTemplate): TemplateBody {
  const shown = current ?? newest
  return {
    ...common(template, names),
    buildID: shown.id,
    buildStatus: newest.status,
    buildCount,
    ...sizesOf(shown),
    envdVersion,
    createdBy: null,
  }
}

/** As the answer to asking for a build: of that one, which is the newest. */
export function presentLegacyTemplate(listed: ListedTemplate): TemplateLegacyBody {
  const { names: _, buildStatus: __, ...legacy } = presentTemplate({ ...listed, current: undefined })
  return legacy
}

export function presentTemplateWithBuilds(
  template: Template,
  names: string[],
  builds: readonly TemplateBuild[],
): TemplateWithBuildsBody {
  return { ...common(template, names), builds: builds.map(presentBuild) }
}

function presentBuild(build: TemplateBuild): TemplateBuildBody {
  const { id, status, createdAt, startedAt, finishedAt } = build
  return {
    buildID: id,
    status,
    createdAt: time(createdAt),
    updatedAt: time(finishedAt ?? startedAt ?? createdAt),
    ...(finishedAt !== null && { finishedAt: time(finishedAt) }),
    ...sizesOf(build),
    envdVersion,
  }
}

export function presentBuildInfo(progress: BuildProgress): TemplateBuildInfoBody {
  const { entries, reasonEntries, isFirstGeneration } = progress
  const { id, templateId, status, reason } = progress.build
  return {
    templateID: templateId,
    buildID: id,
    status,
    logs: isFirstGeneration ? entries.map(({ message }) => `${message}\n`) : [],
    logEntries: entries.map(presentBuildLogEntry),
    ...(reason !== null && {
      reason: {
        message: reason.message,
        ...(reason.step !== null && { step: reason.step }),
        logEntries: reasonEntries.map(presentBuildLogEntry),
      },
    }),
  }
}

export function presentBuildLogEntry({ at, message, level, step }: BuildLogEntry): BuildLogEntryBody {
  return { timestamp: time(at), message, level, ...(step !== null && { step }) }
}

export function presentTag({ tag, buildId, createdAt }: Tag): TemplateTagBody {
  return { tag, buildID: buildId, createdAt: time(createdAt) }
}

function common(template: Template, names: string[]) {
  const { id, isPublic, aliases, createdAt, updatedAt, lastSpawnedAt, spawnCount } = template
  return {
    templateID: id,
    public: isPublic,
    aliases,
    names,
    createdAt: time(createdAt),
    updatedAt: time(updatedAt),
    lastSpawnedAt: lastSpawnedAt === null ? null : time(lastSpawnedAt),
    spawnCount,
  }
}

function sizesOf({ cpuCount, memoryMb, diskMb }: TemplateBuild) {
  return { cpuCount, memoryMB: memoryMb, diskSizeMB: diskMb }
}
