import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { pinnedVersion, TOOL_NAMES, toolOf } from '../../scripts/tools/catalogue.ts'
import { pinnedModules } from '../../scripts/tools/modules.ts'
import { CHART, VERSION } from './support/helm.ts'

it("the chart's versions are the program's", () => {
  const chart = parse(readFileSync(join(CHART, 'Chart.yaml'), 'utf8'))
  expect([chart.version, chart.appVersion]).toEqual([VERSION, VERSION])
})

it('the tools and the modules for files are pinned, those in both to one version', () => {
  for (const name of TOOL_NAMES) expect(toolOf(name).version, name).toMatch(/^\d+\.\d+\.\d+$/)
  for (const module of pinnedModules()) expect(pinnedVersion('files', module), module).toMatch(/^\d+\.\d+\.\d+$/)
  expect(pinnedVersion('files', 'github.com/kedacore/keda/v2')).toBe(toolOf('keda').version)
})
