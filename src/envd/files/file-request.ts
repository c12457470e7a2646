import type { HttpRequest, HttpResponse } from '../../domain/http.ts'
import type { PathRequest } from '../../guest/path-request.ts'
import type { RequestScope } from '../request-scope.ts'
import type { EnvdTarget } from '../target.ts'

/** One request to `/files`, already admitted. */
export interface FileRequest {
  target: EnvdTarget
  req: HttpRequest
  res: HttpResponse
  query: URLSearchParams
  scope: RequestScope
}

/** Who the request is for; absent: the sandbox's default user. */
export function userOf(query: URLSearchParams): Pick<PathRequest, 'user'> {
  const user = query.get('username') ?? ''
  return user === '' ? {} : { user }
}
