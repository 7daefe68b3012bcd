package dev.lionstore.formula;

import dev.lionstore.formula.Code.Expression;
import dev.lionstore.formula.Code.Local;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.classfile.Opcode;
import java.lang.classfile.attribute.SourceFileAttribute;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Writes a form as a class file. Its lines are those of the rule's text. */
public final class ClassWriter {
  private static final int THIS_SLOT = 0;

  private final CodeBuilder code;
  private final Map<String, Integer> slots = new HashMap<>();

  private ClassWriter(CodeBuilder code) {
    this.code = code;
  }

  private ClassWriter(ClassWriter outer, CodeBuilder block) {
    this.code = block;
    this.slots.putAll(outer.slots);
  }

  /** The bytes of the class. */
  public static byte[] write(Code.Form form) {
    MethodTypeDesc type =
        MethodTypeDesc.of(ConstantDescs.CD_void, form.parameter().type().description());
    return ClassFile.of()
        .build(
            ClassDesc.of(form.name()),
            made ->
                made.withFlags(ClassFile.ACC_FINAL | ClassFile.ACC_SUPER)
                    .withInterfaceSymbols(form.implemented().description())
                    .with(SourceFileAttribute.of(form.source()))
                    .withMethodBody(
                        ConstantDescs.INIT_NAME,
                        ConstantDescs.MTD_void,
                        0,
                        code ->
                            code.aload(THIS_SLOT)
                                .invokespecial(
                                    ConstantDescs.CD_Object,
                                    ConstantDescs.INIT_NAME,
                                    ConstantDescs.MTD_void)
                                .return_())
                    .withMethodBody(
                        form.method(), type, ClassFile.ACC_PUBLIC, code -> body(form, code)));
  }

  private static void body(Code.Form form, CodeBuilder code) {
    ClassWriter writer = new ClassWriter(code);
    writer.slots.put(form.parameter().name(), code.parameterSlot(0));
    writer.all(form.body());
    code.return_();
  }

  private void all(List<Code.Action> actions) {
    actions.forEach(this::write);
  }

  private void write(Code.Action action) {
    switch (action) {
      case Code.Line(int number) -> code.lineNumber(number);
      case Code.Declare(Local local) -> slot(local);
      case Code.Let(Local local, Expression value) -> {
        push(value);
        store(local);
      }
      case Code.Run(Expression call) -> push(call);
      case Code.If branch -> write(branch);
      case Code.Loop loop -> write(loop);
    }
  }

  private void write(Code.If branch) {
    push(branch.condition());
    if (branch.condition().type().equals(Code.Type.LONG)) {
      code.lconst_0().lcmp();
    }
    if (branch.no().isEmpty()) {
      code.ifThen(Opcode.IFNE, block -> new ClassWriter(this, block).all(branch.yes()));
    } else {
      code.ifThenElse(
          Opcode.IFNE,
          block -> new ClassWriter(this, block).all(branch.yes()),
          block -> new ClassWriter(this, block).all(branch.no()));
    }
  }

  private void write(Code.Loop loop) {
    code.iconst_0();
    store(loop.i());
    Label top = code.newBoundLabel();
    Label end = code.newLabel();
    push(loop.i());
    push(loop.count());
    code.if_icmpge(end);
    all(loop.body());
    push(loop.i());
    push(loop.step());
    code.iadd();
    store(loop.i());
    code.goto_(top);
    code.labelBinding(end);
  }

  private int slot(Local local) {
    return slots.computeIfAbsent(local.name(), _ -> code.allocateLocal(local.type().kind()));
  }

  private void store(Local local) {
    code.storeLocal(local.type().kind(), slot(local));
  }

  private void push(Expression expression) {
    switch (expression) {
      case Code.Constant(Code.Type type, Number value) -> push(type, value);
      case Local local -> code.loadLocal(local.type().kind(), slot(local));
      case Code.Static(Code.Type owner, String name, Code.Type type) ->
          code.getstatic(owner.description(), name, type.description());
      case Code.Field(Local of, String name, Code.Type type) -> {
        push(of);
        code.getfield(of.type().description(), name, type.description());
      }
      case Code.Element(Expression array, int index, Code.Type type) -> {
        push(array);
        code.loadConstant(index);
        code.arrayLoad(type.kind());
      }
      case Code.Arithmetic arithmetic -> push(arithmetic);
      case Code.ToLong(Expression of) -> {
        push(of);
        code.i2l();
      }
      case Code.Call call -> push(call);
      case Code.Choice choice -> push(choice);
    }
  }

  private void push(Code.Type type, Number value) {
    switch (type.kind()) {
      case LONG -> code.loadConstant(value.longValue());
      case FLOAT -> code.loadConstant(value.floatValue());
      default -> code.loadConstant(value.intValue());
    }
  }

  private void push(Code.Call call) {
    call.receiver().forEach(this::push);
    call.arguments().forEach(this::push);
    MethodTypeDesc type =
        MethodTypeDesc.of(
            call.returned().description(),
            call.parameters().stream().map(Code.Type::description).toList());
    ClassDesc owner = call.owner().description();
    if (call.receiver().isEmpty()) {
      code.invokestatic(owner, call.name(), type);
    } else {
      code.invokevirtual(owner, call.name(), type);
    }
    if (!call.type().equals(call.returned())) {
      code.checkcast(call.type().description());
    }
  }

  private void push(Code.Choice choice) {
    push(choice.left());
    push(choice.right());
    // NaN fails every comparison but !=.
    switch (choice.comparison()) {
      case LESS, AT_MOST -> code.fcmpg();
      default -> code.fcmpl();
    }
    Label no = code.newLabel();
    Label end = code.newLabel();
    code.branch(opposite(choice.comparison()), no);
    push(choice.yes());
    code.goto_(end).labelBinding(no);
    push(choice.no());
    code.labelBinding(end);
  }

  private static Opcode opposite(Op comparison) {
    return switch (comparison) {
      case LESS -> Opcode.IFGE;
      case AT_MOST -> Opcode.IFGT;
      case GREATER -> Opcode.IFLE;
      case AT_LEAST -> Opcode.IFLT;
      case EQUAL -> Opcode.IFNE;
      case UNEQUAL -> Opcode.IFEQ;
      default -> throw new IllegalArgumentException(comparison.name());
    };
  }

  private void push(Code.Arithmetic arithmetic) {
    push(arithmetic.left());
    push(arithmetic.right());
    String operation = arithmetic.type().kind().name().charAt(0) + "" + arithmetic.operator();
    switch (operation) {
      case "I+" -> code.iadd();
      case "I-" -> code.isub();
      case "I*" -> code.imul();
      case "I/" -> code.idiv();
      case "I&" -> code.iand();
      case "I|" -> code.ior();
      case "I^" -> code.ixor();
      case "L+" -> code.ladd();
      case "L*" -> code.lmul();
      case "F+" -> code.fadd();
      case "F-" -> code.fsub();
      case "F*" -> code.fmul();
      case "F/" -> code.fdiv();
      default -> throw new IllegalArgumentException(operation);
    }
  }
}
