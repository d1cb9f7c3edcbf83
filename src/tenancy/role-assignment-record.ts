/** Names a subject of an issuer. */
export interface SubjectName {
  readonly issuer: string;
  readonly subject: string;
}

/** Roles of a tenant that it has given to a subject, beside those that the subject's tokens name. */
export interface RoleAssignmentRecord extends SubjectName {
  readonly roles: readonly string[];
  /** When the subject was first given roles. */
  readonly createdAt: Date;
}
