/** Bodies about templates in E2B's spelling (e2b-wire 2.2). */

export interface TemplateAliasBody {
  templateID: string
  public: boolean
}
