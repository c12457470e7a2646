import type { StockStatus } from '../../control/stock/stock-templates.ts'
import { describeProgress } from '../../control/stock/unready-error.ts'
import type { StockTemplateBody } from '../../wire/template.ts'

export function presentStockTemplate({
  recipe,
  state,
  isCurrent,
  progress,
  build,
}: StockStatus): StockTemplateBody {
  return {
    templateID: recipe.name,
    names: recipe.aliases,
    state,
    current: isCurrent,
    progress: progress === null ? null : describeProgress(progress),
    buildID: build?.id ?? null,
    reason: build?.reason?.message ?? null,
    cpuCount: recipe.cpuCount,
    memoryMB: recipe.memoryMb,
  }
}
