/** What a training run needs, planned to the byte and measured (tools/audit/AUDIT.md). */
@NullMarked
package dev.lionstore.audit;

import org.jspecify.annotations.NullMarked;
