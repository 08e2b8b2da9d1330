/** Two ends and what stands between them. */
export function PolicyPicture() {
  return (
    <svg
      width="168"
      height="64"
      viewBox="0 0 168 64"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      role="presentation"
    >
      <rect x="4" y="18" width="40" height="28" rx="5" />
      <rect x="124" y="18" width="40" height="28" rx="5" />
      <path d="M44 27h36M88 27h36" stroke="var(--allow)" />
      <path d="m118 23 6 4-6 4" stroke="var(--allow)" />
      <path d="M44 38h34" stroke="var(--deny)" />
      <rect x="78" y="6" width="10" height="52" rx="3" fill="var(--raised)" />
      <rect x="72.5" y="35" width="6" height="6" fill="var(--deny)" stroke="none" />
    </svg>
  );
}
